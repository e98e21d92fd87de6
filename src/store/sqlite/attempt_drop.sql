-- many
-- Attempts that nobody asks for any more.
-- 1 token.
DELETE FROM attempt WHERE token = ?1
