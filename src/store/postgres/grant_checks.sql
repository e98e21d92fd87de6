-- many
-- The checks that a stage is assigned to.
-- 1 task of the stage.
-- Answers the stage, then the check, its name and kind, and the role of the group that counts the stage.
SELECT e.task, c.id, c.name, coalesce(p.check_kind, ''), g.role
  FROM dep_edge e JOIN dep_group g ON g.id = e.grp JOIN task c ON c.id = g.task LEFT JOIN plan_task p ON p.task = c.id
 WHERE e.task = ANY ($1::bigint[]) AND g.role IN ('plan', 'final') ORDER BY e.task, c.id, g.id
