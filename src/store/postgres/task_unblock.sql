-- many
-- Groups of a waiting task were met.
-- 1 id, 2 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at.
UPDATE task SET groups_open = groups_open - u.n
  FROM unnest($1::bigint[], $2::bigint[]) AS u (id, n)
 WHERE task.id = u.id
RETURNING task.id, task.run, task.queue, task.name, task.state, task.reason, task.attempts, task.budget_from, task.retry, task.due_at, task.cancel, task.groups_open, task.token, task.worker, task.timeout_us, task.ready_at, task.leased_at, task.started_at
