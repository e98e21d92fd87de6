-- many
-- The results of checks, in the order in which they came.
-- 1 task.
-- Answers task, id, owner, token, data, code, message, at, final.
SELECT task, id, owner, token, data, code, message, at, final FROM check_result WHERE task = ?1 ORDER BY id
