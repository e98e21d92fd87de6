-- many
-- What groups wait for.
-- 1 group.
-- Answers the group, and id, name, state of the task.
SELECT e.grp, t.id, t.name, t.state FROM dep_edge e JOIN task t ON t.id = e.task WHERE e.grp = ANY ($1::bigint[])
 ORDER BY e.grp, t.id
