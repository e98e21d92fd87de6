-- many
-- A task has ended: every group that waits for it counts it.
-- 1 the task, 2 whether it succeeded (1, 0).
-- Answers id, task, rule, need, total, done, succeeded, verdict, and a task that has ended.
UPDATE dep_group g SET done = g.done + e.done, succeeded = g.succeeded + e.succeeded
  FROM (SELECT d.grp, count(*) AS done, sum(u.succeeded) AS succeeded, max(u.task) AS task
          FROM unnest($1::bigint[], $2::bigint[]) AS u (task, succeeded) JOIN dep_edge d ON d.task = u.task
         GROUP BY d.grp) e
 WHERE g.id = e.grp
RETURNING g.id, g.task, g.rule, g.need, g.total, g.done, g.succeeded, g.verdict, e.task
