-- many
-- Unique keys that are taken.
-- 1 queue, 2 unique key, 3 now.
-- Answers queue, unique key, task.
SELECT queue, unique_key, task FROM uniqueness WHERE queue = ?1 AND unique_key = ?2 AND (live = 1 OR until > ?3)
