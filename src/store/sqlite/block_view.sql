-- The block that a task may wait in.
-- 1 the task.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE id <= ?1 ORDER BY id DESC LIMIT 1
