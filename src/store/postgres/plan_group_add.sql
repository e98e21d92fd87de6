-- many
-- Groups of plans: id, run, task, rule, need, total, done, succeeded, verdict, role, cancel_rest, satisfied.
INSERT INTO dep_group (id, run, task, rule, need, total, done, succeeded, verdict, role, cancel_rest, satisfied)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::text[])
