-- many
-- Who held a task before, the newest first.
-- 1 task, 2 how many.
-- Answers task, worker, outcome.
SELECT a.* FROM unnest($1::bigint[], $2::bigint[]) AS u (t, n), LATERAL (
    SELECT task, worker, outcome FROM attempt WHERE task = u.t ORDER BY token DESC LIMIT u.n) AS a
