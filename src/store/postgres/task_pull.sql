-- The stages of a run that are claimed from it and are to be given out next. The run is locked, as in grant_ready.
-- 1 run, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate. Then payload.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate,
       payload
  FROM task WHERE run = $1::bigint AND state = 'READY' AND gate = 4
 ORDER BY priority DESC, id LIMIT $2::bigint
