-- The groups of the tasks of a run that wait, by task.
-- 1 run.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest.
SELECT g.id, g.task, g.rule, g.need, g.total, g.done, g.succeeded, g.verdict, g.role, g.missing, g.cancel_rest
  FROM dep_group g JOIN task t ON t.id = g.task WHERE g.run = $1::bigint AND t.state = 'BLOCKED' ORDER BY g.task, g.id
