-- many
-- It has ended, or its tasks have rows of their own.
-- 1 task.
DELETE FROM piece WHERE task = ANY ($1::bigint[])
