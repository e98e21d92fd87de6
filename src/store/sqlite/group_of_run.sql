-- The groups of a run with the tasks that wait, by task.
-- 1 run.
-- Answers id, task, rule, need, total, done, succeeded, verdict, 0.
SELECT id, task, rule, need, total, done, succeeded, verdict, 0 FROM dep_group WHERE run = ?1 ORDER BY task, id
