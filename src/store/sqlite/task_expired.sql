-- Leases with an end of their own that were not renewed in time, locked. What somebody else is moving is left for the next
-- time, as in task_due.
-- 1 now, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE expires_at <> 0 AND expires_at <= ?1 AND state IN ('LEASED', 'RUNNING') ORDER BY expires_at, id LIMIT ?2
