-- many
-- Attempts that nobody asks for any more.
-- 1 token.
DELETE FROM attempt WHERE token = ANY ($1::bigint[])
