-- Held tasks past their deadline whose worker does not run here, locked. What somebody else is moving is left for the next
-- time, as in task_due.
-- 1 now, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
WITH late AS MATERIALIZED (
    SELECT t.id, t.run FROM task t JOIN worker w ON w.incarnation = t.worker
     WHERE t.state IN ('LEASED', 'RUNNING') AND t.deadline_at <> 0 AND t.deadline_at <= $1::bigint AND w.kind <> 'local'
     ORDER BY t.deadline_at LIMIT $2::bigint),
runs AS MATERIALIZED (SELECT id FROM run WHERE id IN (SELECT run FROM late) ORDER BY id FOR UPDATE SKIP LOCKED)
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id IN (SELECT id FROM late) AND deadline_at <> 0 AND deadline_at <= $1::bigint
   AND state IN ('LEASED', 'RUNNING') AND (run = 0 OR run IN (SELECT id FROM runs))
 ORDER BY id FOR UPDATE OF task SKIP LOCKED
