-- many
-- Set how many groups of a task are not met.
-- 1 id, 2 how many.
UPDATE task SET groups_open = u.n FROM unnest($1::bigint[], $2::bigint[]) AS u (id, n) WHERE task.id = u.id
