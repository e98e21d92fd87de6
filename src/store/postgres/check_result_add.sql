-- many
-- Results of checks: id, run, task, owner, token, data, code, message, at, final.
INSERT INTO check_result (id, run, task, owner, token, data, code, message, at, final)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[])
