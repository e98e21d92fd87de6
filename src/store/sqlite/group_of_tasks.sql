-- many
-- The groups of tasks.
-- 1 task.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest, satisfied.
SELECT id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest, satisfied
  FROM dep_group WHERE task = ?1 ORDER BY id
