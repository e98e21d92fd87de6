-- many
-- Held tasks by id, locked with their runs (runs first, then tasks by id), and what keeps their leases.
-- 1 id.
-- A lease that went over to another incarnation while this one waited for its task is still one, though that worker is not seen.
-- Answers id, token, cancel, the worker's kind and the end of its TTL, expires_at, the queue's claim_ttl_us, percent, progress, gate, state, progress_us, run, name.
WITH runs AS MATERIALIZED (
    SELECT id FROM run WHERE id IN (SELECT run FROM task WHERE id = ANY ($1::bigint[])) ORDER BY id FOR UPDATE)
SELECT t.id, t.token, t.cancel, coalesce(w.kind, 'remote'), coalesce(w.beat_at + w.ttl_us, 0), t.expires_at, coalesce(q.claim_ttl_us, 3600000000), t.percent, t.progress,
       t.gate, t.state, coalesce(p.progress_us, 0), t.run, t.name
  FROM task t LEFT JOIN worker w ON w.incarnation = t.worker LEFT JOIN queue q ON q.name = t.queue
       LEFT JOIN plan_task p ON p.task = t.id WHERE t.id = ANY ($1::bigint[]) AND (SELECT count(*) FROM runs) >= 0
 ORDER BY t.id FOR UPDATE OF t
