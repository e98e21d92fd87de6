-- many
-- All of it was taken, or its tasks have rows of their own.
-- 1 id.
DELETE FROM block WHERE id = ANY ($1::bigint[])
