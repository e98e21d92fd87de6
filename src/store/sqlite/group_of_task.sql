-- The groups of a task.
-- 1 task.
-- Answers id, task, rule, need, total, done, succeeded, verdict.
SELECT id, task, rule, need, total, done, succeeded, verdict FROM dep_group WHERE task = ?1 ORDER BY id
