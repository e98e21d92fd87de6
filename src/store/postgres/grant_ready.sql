-- many
-- The stages of a demand and a run to be given out next. The run is locked, so that nobody else moves them; they are not
-- locked themselves, since one that is passed over while somebody renews its old lease would be looked for no more.
-- 1 its place in the request, 2 demand, 3 run, 4 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate. Then accept_us, progress_us, refusals, the outcome of its newest attempt, place.
SELECT s.* FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS u (place, demand, r, n), LATERAL (
    SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.attempts, t.budget_from, t.retry, t.due_at, t.cancel, t.groups_open, t.token, t.worker, t.timeout_us, t.ready_at, t.leased_at, t.started_at, t.priority, t.key, t.unique_key, t.turn, t.gate,
           coalesce(p.accept_us, 0), coalesce(p.progress_us, 0), coalesce(p.refusals, 0), coalesce(a.outcome, ''), u.place
      FROM task t LEFT JOIN plan_task p ON p.task = t.id LEFT JOIN attempt a ON a.token = t.last_token
     WHERE t.state = 'READY' AND t.gate = 3 AND t.key = u.demand AND t.run = u.r
     ORDER BY t.priority DESC, t.id LIMIT u.n) AS s
