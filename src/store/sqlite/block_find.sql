-- many
-- Blocks that have tasks of a range, locked by id.
-- 1 its first task, 2 its last.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE id >= coalesce((SELECT max(id) FROM block WHERE id <= ?1), ?1) AND id + taken <= ?2 AND id + n > ?1 AND id <= ?2 ORDER BY id
