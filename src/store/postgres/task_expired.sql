-- Leases with an end of their own that were not renewed in time, locked. What somebody else is moving is left for the next
-- time, as in task_due.
-- 1 now, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
WITH late AS MATERIALIZED (
    SELECT id, run FROM task WHERE expires_at <> 0 AND expires_at <= $1::bigint AND state IN ('LEASED', 'RUNNING')
     ORDER BY expires_at, id LIMIT $2::bigint),
runs AS MATERIALIZED (SELECT id FROM run WHERE id IN (SELECT run FROM late) ORDER BY id FOR UPDATE SKIP LOCKED)
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id IN (SELECT id FROM late) AND expires_at <> 0 AND expires_at <= $1::bigint
   AND state IN ('LEASED', 'RUNNING') AND (run = 0 OR run IN (SELECT id FROM runs))
 ORDER BY expires_at, id FOR UPDATE OF task SKIP LOCKED
