-- many
-- The ended pieces in which tokens may have been used.
-- 1 token.
-- An ended row: token, task, n, queue, worker, created_at, leased_at, ended_at, details.
SELECT token, task, n, queue, worker, created_at, leased_at, ended_at, details
  FROM ended WHERE token <= ?1 ORDER BY token DESC LIMIT 1
