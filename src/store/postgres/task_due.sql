-- Tasks whose time has come, locked. What somebody else is moving is left for the next time: a scan goes over many runs,
-- and would wait for each of them while it holds the others.
-- 1 now, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
WITH due AS MATERIALIZED (
    SELECT id, run FROM task WHERE state = 'DELAYED' AND due_at <= $1::bigint ORDER BY due_at, id LIMIT $2::bigint),
runs AS MATERIALIZED (SELECT id FROM run WHERE id IN (SELECT run FROM due) ORDER BY id FOR UPDATE SKIP LOCKED)
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id IN (SELECT id FROM due) AND state = 'DELAYED' AND (run = 0 OR run IN (SELECT id FROM runs))
 ORDER BY due_at, id FOR UPDATE OF task SKIP LOCKED
