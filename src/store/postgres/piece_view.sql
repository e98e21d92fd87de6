-- The piece that a task may stand in.
-- 1 the task.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads; then the name of its worker, and until when that one is believed to live.
SELECT p.task, p.n, p.token, p.worker, p.queue, p.priority, p.retry, p.created_at, p.leased_at, p.expires_at, p.payloads,
       coalesce(w.name, ''), coalesce(w.beat_at + w.ttl_us, 0)
  FROM (SELECT * FROM piece WHERE task <= $1::bigint ORDER BY task DESC LIMIT 1) AS p LEFT JOIN worker w ON w.incarnation = p.worker
