-- many
-- New dependency groups: id, run, task, rule, need, total.
INSERT INTO dep_group (id, run, task, rule, need, total)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
