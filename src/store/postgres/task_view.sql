-- A task to look at.
-- 1 id.
-- A view row: id, run, queue, name, state, reason, detail, priority, due_at, cancel, attempts, token, worker, created_at, started_at, ended_at, output.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.detail, t.priority, t.due_at, t.cancel, t.attempts, t.token, t.worker, t.created_at, t.started_at, t.ended_at,
       (SELECT a.result FROM attempt a WHERE a.token = t.last_token AND a.outcome = 'succeeded')
  FROM task t WHERE t.id = $1::bigint
