-- A task to look at.
-- 1 id.
-- A view row: id, run, queue, name, state, reason, detail, priority, due_at, cancel, attempts, token, worker, created_at, started_at, ended_at, output.
-- Then payload, key, gate, expires_at, percent, progress, the name of its worker, and until when that one is believed to live.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.detail, t.priority, t.due_at, t.cancel, t.attempts, t.token, t.worker, t.created_at, t.started_at, t.ended_at,
       (SELECT a.result FROM attempt a WHERE a.token = t.last_token AND a.outcome = 'succeeded'),
       t.payload, t.key, t.gate, t.expires_at, t.percent, t.progress, coalesce(w.name, ''), coalesce(w.beat_at + w.ttl_us, 0)
  FROM task t LEFT JOIN worker w ON w.incarnation = t.worker WHERE t.id = $1::bigint
