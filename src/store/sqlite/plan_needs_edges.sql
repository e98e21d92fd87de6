-- many
-- A check or stage no longer waits for what it depended on: edges.
-- 1 task.
DELETE FROM dep_edge WHERE grp IN (SELECT id FROM dep_group WHERE task = ?1 AND role = 'start')
