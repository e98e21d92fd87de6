-- many
-- Ended attempts.
INSERT INTO attempt (token, task, run, queue, number, worker, outcome, reason, message, exit_code, signal, leased_at,
                     started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes, stderr_tail, digest, result)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[], $20::text[], $21::text[])
