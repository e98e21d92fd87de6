-- many
-- A worker takes neighbours of a block.
-- 1 task, 2 n, 3 token, 4 worker, 5 queue, 6 priority, 7 retry, 8 created_at, 9 leased_at, 10 expires_at, 11 payloads.
INSERT INTO piece (task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
