-- The ended piece that a task may have been in.
-- 1 task.
-- An ended row: token, task, n, queue, worker, created_at, leased_at, ended_at, details.
SELECT token, task, n, queue, worker, created_at, leased_at, ended_at, details
  FROM ended WHERE task <= $1::bigint ORDER BY task DESC LIMIT 1
