-- many
-- The groups of checks and stages that follow from others: of planning, of what they added, of conclusions.
-- 1 task.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest.
SELECT id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest
  FROM dep_group WHERE task = ?1 AND role <> 'start'
