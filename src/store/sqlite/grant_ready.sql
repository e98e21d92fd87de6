-- many
-- The stages of a demand and a run to be given out next, locked.
-- 1 its place in the request, 2 demand, 3 run, 4 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate. Then accept_us, progress_us, refusals, the outcome of its newest attempt, place.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.attempts, t.budget_from, t.retry, t.due_at, t.cancel, t.groups_open, t.token, t.worker, t.timeout_us, t.ready_at, t.leased_at, t.started_at, t.priority, t.key, t.unique_key, t.turn, t.gate,
       coalesce(p.accept_us, 0), coalesce(p.progress_us, 0), coalesce(p.refusals, 0), coalesce(a.outcome, ''), ?1
  FROM task t LEFT JOIN plan_task p ON p.task = t.id LEFT JOIN attempt a ON a.token = t.last_token
 WHERE t.state = 'READY' AND t.gate = 3 AND t.key = ?2 AND t.run = ?3
 ORDER BY t.priority DESC, t.id LIMIT ?4
