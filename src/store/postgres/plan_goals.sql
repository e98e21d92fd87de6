-- many
-- What stages are assigned to.
-- 1 stage.
-- Answers the stage, the check, the role of the group.
SELECT e.task, c.name, g.role FROM dep_edge e JOIN dep_group g ON g.id = e.grp JOIN task c ON c.id = g.task
 WHERE e.task = ANY ($1::bigint[]) AND g.role IN ('plan', 'final') ORDER BY e.task, g.task, g.role
