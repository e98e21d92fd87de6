-- many
-- A task has ended: the groups that count it. Its run is locked.
-- 1 the task, 2 whether it succeeded (1, 0).
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest, and the two parameters.
SELECT g.id, g.task, g.rule, g.need, g.total, g.done, g.succeeded, g.verdict, g.role, g.missing, g.cancel_rest, u.task, u.succeeded
  FROM unnest($1::bigint[], $2::bigint[]) AS u (task, succeeded)
  JOIN dep_edge e ON e.task = u.task JOIN dep_group g ON g.id = e.grp
