-- Blocks of a queue, locked.
-- 1 queue, 2 how many.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE queue = ?1 ORDER BY priority DESC, id LIMIT ?2
