-- Pieces that no heartbeat keeps and that were not renewed in time, locked.
-- 1 now, 2 how many.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads.
SELECT task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads
  FROM piece WHERE expires_at <> 0 AND expires_at <= $1::bigint ORDER BY expires_at, task LIMIT $2::bigint FOR UPDATE SKIP LOCKED
