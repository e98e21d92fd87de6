-- Tasks of a run that nobody holds and that have not ended, locked.
-- 1 run.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE run = $1::bigint AND run <> 0 AND state IN ('BLOCKED', 'DELAYED', 'READY', 'AWAITING') ORDER BY id FOR UPDATE
