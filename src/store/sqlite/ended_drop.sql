-- many
-- Forget ended pieces.
-- 1 token.
DELETE FROM ended WHERE token = ?1
