-- The groups of a run that keep checks editable.
-- 1 run.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest.
SELECT id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest
  FROM dep_group WHERE run = $1::bigint AND role = 'plan' AND verdict = 'WAITING' ORDER BY id
