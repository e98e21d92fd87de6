-- Blocks of a queue that have tasks after a place in the order of claims.
-- 1 queue, 2 priority and 3 id of the task that they come after, 4 how many.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE queue = ?1 AND priority <= ?2 AND (priority < ?2 OR id + n > ?3 + 1) ORDER BY priority DESC, id LIMIT ?4
