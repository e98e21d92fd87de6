-- many
-- Whom a stage was given to, and why not to others.
-- 1 token, 2 task, 3 run, 4 worker, 5 at, 6 candidates.
INSERT INTO dispatch (token, task, run, worker, at, candidates)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
