-- Count the groups of a run anew from the states of the tasks that they wait for.
-- 1 run.
UPDATE dep_group
   SET verdict = iif((SELECT state FROM task WHERE id = dep_group.task) = 'BLOCKED', 'WAITING', verdict),
       done = (SELECT count(*) FROM dep_edge e JOIN task t ON t.id = e.task
                WHERE e.grp = dep_group.id AND t.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED')),
       succeeded = (SELECT count(*) FROM dep_edge e JOIN task t ON t.id = e.task
                     WHERE e.grp = dep_group.id AND t.state = 'SUCCEEDED')
 WHERE run = ?1
