-- many
-- Checks and stages as the reply of a write shows them.
-- 1 id.
-- A view row: id, run, queue, name, state, reason, detail, priority, due_at, cancel, attempts, token, worker, created_at, started_at, ended_at, output (none here). Then version, gate, key, timeout_us, retry, check_kind, parent, its name, accept_us, progress_us, results.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.detail, t.priority, t.due_at, t.cancel, t.attempts, t.token, t.worker, t.created_at, t.started_at, t.ended_at,
       NULL, t.version, t.gate, t.key, t.timeout_us, t.retry, p.check_kind, p.parent, coalesce(u.name, ''), p.accept_us, p.progress_us, p.results
  FROM task t JOIN plan_task p ON p.task = t.id LEFT JOIN task u ON u.id = p.parent
 WHERE t.id = ANY ($1::bigint[]) ORDER BY t.id
