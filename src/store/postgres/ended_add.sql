-- many
-- Pieces that succeeded.
-- 1 token, 2 task, 3 n, 4 queue, 5 worker, 6 created_at, 7 leased_at, 8 ended_at, 9 details.
INSERT INTO ended (token, task, n, queue, worker, created_at, leased_at, ended_at, details)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
