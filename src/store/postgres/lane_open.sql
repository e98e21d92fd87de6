-- many
-- Tasks get the place of their key that they waited for.
-- 1 id.
UPDATE task SET gate = 1 WHERE id = ANY ($1::bigint[])
