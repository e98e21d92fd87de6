-- many
-- A task has ended: the groups that count it. Its run is locked.
-- 1 the task, 2 whether it succeeded (1, 0).
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest, and the two parameters.
SELECT g.id, g.task, g.rule, g.need, g.total, g.done, g.succeeded, g.verdict, g.role, g.missing, g.cancel_rest, ?1, ?2
  FROM dep_edge e JOIN dep_group g ON g.id = e.grp WHERE e.task = ?1
