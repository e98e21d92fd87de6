-- many
-- What checks and stages have beside a task row: task, check_kind, parent, accept_us, progress_us, needs, goals.
INSERT INTO plan_task (task, check_kind, parent, accept_us, progress_us, needs, goals)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
