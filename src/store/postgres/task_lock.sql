-- many
-- Tasks by id, locked with their runs (runs first, then tasks by id).
-- 1 id.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
WITH runs AS MATERIALIZED (
    SELECT id FROM run WHERE id IN (SELECT run FROM task WHERE id = ANY ($1::bigint[])) ORDER BY id FOR UPDATE)
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id = ANY ($1::bigint[]) AND (SELECT count(*) FROM runs) >= 0
 ORDER BY id FOR UPDATE OF task
