-- Tasks of a run that wait, failed or were skipped, to look at.
-- 1 run, 2 how many.
-- A view row: id, run, queue, name, state, reason, detail, priority, due_at, cancel, attempts, token, worker, created_at, started_at, ended_at, output.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.detail, t.priority, t.due_at, t.cancel, t.attempts, t.token, t.worker, t.created_at, t.started_at, t.ended_at,
       NULL::text
  FROM task t WHERE t.run = $1::bigint AND t.run <> 0 AND t.state IN ('FAILED', 'SKIPPED', 'BLOCKED', 'DELAYED', 'READY', 'LEASED', 'RUNNING', 'AWAITING')
 ORDER BY CASE t.state WHEN 'FAILED' THEN 0 WHEN 'RUNNING' THEN 1 WHEN 'LEASED' THEN 1 WHEN 'AWAITING' THEN 1 WHEN 'READY' THEN 2
          WHEN 'DELAYED' THEN 2 WHEN 'BLOCKED' THEN 3 ELSE 4 END, t.id LIMIT $2::bigint
