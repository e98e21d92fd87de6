-- Count the groups of a run anew from the states of the tasks that they wait for.
-- 1 run.
UPDATE dep_group g SET done = c.done, succeeded = c.succeeded,
       verdict = CASE w.state WHEN 'BLOCKED' THEN 'WAITING' ELSE g.verdict END
  FROM task w, (SELECT e.grp, count(*) FILTER (WHERE t.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED')) AS done,
               count(*) FILTER (WHERE t.state = 'SUCCEEDED') AS succeeded
          FROM dep_group d JOIN dep_edge e ON e.grp = d.id JOIN task t ON t.id = e.task
         WHERE d.run = $1::bigint GROUP BY e.grp) c
 WHERE g.id = c.grp AND w.id = g.task
