-- A new run.
-- 1 id, 2 workflow, 3 version, 4 state, 5 params, 6 dir, 7 max_parallel, 8 tasks, 9 created_at, 10 local.
INSERT INTO run (id, workflow, version, state, params, dir, max_parallel, tasks, open, created_at, local)
VALUES ($1::bigint, $2::text, $3::bigint, $4::text, $5::text, $6::text, $7::bigint, $8::bigint, $8::bigint, $9::bigint, $10::bigint)
