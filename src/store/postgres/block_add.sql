-- many
-- New blocks.
-- 1 id, 2 queue, 3 priority, 4 retry, 5 n, 6 created_at, 7 payloads.
INSERT INTO block (id, queue, priority, retry, n, created_at, payloads)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[])
