-- The oldest dead letters of a queue, locked.
-- 1 queue, 2 how many.
-- The ids come as an array: a planner that knows nothing of the table yet would look for each of them in all.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id = ANY (ARRAY (SELECT id FROM task WHERE run = 0 AND queue = $1::text AND state = 'FAILED' ORDER BY id LIMIT $2::bigint)) AND state = 'FAILED' ORDER BY id FOR UPDATE SKIP LOCKED
