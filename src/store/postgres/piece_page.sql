-- Pieces of a queue that have tasks after one.
-- 1 queue, 2 the task, 3 how many.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads.
SELECT task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads
  FROM piece WHERE queue = $1::text AND task > $2::bigint - 128 AND task + n > $2::bigint + 1 ORDER BY task LIMIT $3::bigint
