-- many
-- The ended pieces in which tokens may have been used.
-- 1 token.
-- An ended row: token, task, n, queue, worker, created_at, leased_at, ended_at, details.
SELECT e.* FROM unnest($1::bigint[]) AS u (t), LATERAL (
    SELECT token, task, n, queue, worker, created_at, leased_at, ended_at, details
      FROM ended WHERE token <= u.t ORDER BY token DESC LIMIT 1) AS e
