-- many
-- Where the ended pieces begin in which tokens may have been used.
-- 1 token.
-- Answers token.
SELECT token FROM ended WHERE token <= ?1 ORDER BY token DESC LIMIT 1
