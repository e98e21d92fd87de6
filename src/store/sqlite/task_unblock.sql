-- many
-- Groups of a waiting task were met.
-- 1 id, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at.
UPDATE task SET groups_open = groups_open - ?2 WHERE id = ?1
RETURNING id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at
