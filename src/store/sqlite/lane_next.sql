-- many
-- The first tasks that wait for a place of their key, locked.
-- 1 queue, 2 key, 3 how many.
-- Answers id, queue, key.
SELECT id, queue, key FROM task WHERE queue = ?1 AND key = ?2 AND gate = 2 ORDER BY priority DESC, id LIMIT ?3
