-- Tasks whose time has come, locked.
-- 1 now, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE state = 'DELAYED' AND due_at <= ?1 ORDER BY due_at, id LIMIT ?2
