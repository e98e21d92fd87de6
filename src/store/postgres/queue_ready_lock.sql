-- Tasks of a queue that nobody holds, locked.
-- 1 queue, 2 how many.
-- The ids come as an array: a planner that knows nothing of the table yet would look for each of them in all.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id = ANY (ARRAY (
    SELECT id FROM (SELECT id FROM task WHERE run = 0 AND queue = $1::text AND state = 'READY' AND gate < 2 LIMIT $2::bigint) AS free
     UNION ALL
    SELECT id FROM (SELECT id FROM task WHERE queue = $1::text AND gate = 2 AND state = 'READY' LIMIT $2::bigint) AS gated
     LIMIT $2::bigint)) AND state = 'READY' ORDER BY id FOR UPDATE SKIP LOCKED
