-- The first block of a queue, locked; where another program has it, it is waited for.
-- 1 queue.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE queue = $1::text ORDER BY priority DESC, id LIMIT 1 FOR UPDATE
