-- many
-- The newest grant of a runner.
-- 1 incarnation, 2 token.
UPDATE worker SET granted = ?2 WHERE incarnation = ?1
