-- The first blocks of a queue, forgotten with all tasks that wait in them.
-- 1 queue, 2 how many.
-- Answers how many tasks each had.
DELETE FROM block WHERE id IN (SELECT id FROM block WHERE queue = ?1 ORDER BY priority DESC, id LIMIT ?2)
RETURNING n - taken
