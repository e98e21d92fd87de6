-- many
-- New tasks: id, run, queue, name, state, reason, priority, retry, due_at, groups_open, timeout_us, ready_at, created_at, turn, gate, key, unique_key, payload.
INSERT INTO task (id, run, queue, name, state, reason, priority, retry, due_at, groups_open, timeout_us, ready_at,
                  created_at, turn, gate, key, unique_key, payload)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[], $18::text[])
