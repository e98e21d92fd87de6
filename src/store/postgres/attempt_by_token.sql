-- many
-- An ended attempt.
-- 1 token.
-- Answers token, task, digest.
SELECT token, task, digest FROM attempt WHERE token = ANY ($1::bigint[])
