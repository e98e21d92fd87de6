-- What a worker holds of blocks, locked.
-- 1 incarnation.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads.
SELECT task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads
  FROM piece WHERE worker = ?1 ORDER BY task
