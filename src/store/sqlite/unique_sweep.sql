-- Forget unique keys that are free.
-- 1 now, 2 how many.
DELETE FROM uniqueness WHERE (queue, unique_key) IN (
    SELECT queue, unique_key FROM uniqueness WHERE live = 0 AND until <= ?1 ORDER BY until LIMIT ?2)
