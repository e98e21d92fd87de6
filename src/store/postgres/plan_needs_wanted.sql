-- many
-- A check or stage no longer waits for what it depended on: names that nobody has written.
-- 1 task.
DELETE FROM dep_wanted WHERE grp IN (SELECT id FROM dep_group WHERE task = ANY ($1::bigint[]) AND role = 'start')
