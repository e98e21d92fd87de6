-- many
-- Something of a task has changed that is not in its row.
-- 1 id.
UPDATE task SET version = version + 1 WHERE id = ANY ($1::bigint[])
