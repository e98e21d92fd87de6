-- many
-- Pieces that have tasks of a range, locked by id.
-- 1 its first task, 2 its last.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads.
SELECT task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads
  FROM piece WHERE task >= coalesce((SELECT max(task) FROM piece WHERE task <= ?1), ?1) AND task <= ?2 AND task + n > ?1 ORDER BY task
