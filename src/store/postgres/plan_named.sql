-- many
-- Checks and stages by name, locked. Their run is locked.
-- 1 run, 2 name, 3 a payload.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate. Then check_kind, needs, goals, results, results_failed, final, accept_us, progress_us, version, whether its payload is that.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.attempts, t.budget_from, t.retry, t.due_at, t.cancel, t.groups_open, t.token, t.worker, t.timeout_us, t.ready_at, t.leased_at, t.started_at, t.priority, t.key, t.unique_key, t.turn, t.gate,
       p.check_kind, p.needs, p.goals, p.results, p.results_failed, p.final, p.accept_us, p.progress_us, t.version, (t.payload = u.given)::int::bigint
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u (run, name, given)
  JOIN task t ON t.run = u.run AND t.name = u.name AND t.run <> 0 JOIN plan_task p ON p.task = t.id
 ORDER BY t.id FOR UPDATE OF t
