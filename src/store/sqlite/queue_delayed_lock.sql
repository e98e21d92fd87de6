-- Tasks of a queue that wait for their time, locked.
-- 1 queue, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate.
SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate
  FROM task WHERE id IN (SELECT id FROM task WHERE run = 0 AND queue = ?1 AND state = 'DELAYED' ORDER BY due_at LIMIT ?2) ORDER BY id
