-- many
-- Forget ended pieces.
-- 1 token.
DELETE FROM ended WHERE token = ANY ($1::bigint[])
