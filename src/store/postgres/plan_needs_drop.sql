-- many
-- Likewise the groups, after their edges.
-- 1 task.
DELETE FROM dep_group WHERE task = ANY ($1::bigint[]) AND role = 'start'
