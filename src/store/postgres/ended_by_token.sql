-- many
-- Ended pieces.
-- 1 token of the first task.
-- An ended row: token, task, n, queue, worker, created_at, leased_at, ended_at, details.
SELECT token, task, n, queue, worker, created_at, leased_at, ended_at, details
  FROM ended WHERE token = ANY ($1::bigint[])
