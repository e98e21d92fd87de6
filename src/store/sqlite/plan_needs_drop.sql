-- many
-- Likewise the groups, after their edges.
-- 1 task.
DELETE FROM dep_group WHERE task = ?1 AND role = 'start'
