-- A new plan.
-- 1 id, 2 workflow, 3 state, 4 metadata, 5 request_id, 6 created_at.
INSERT INTO run (id, workflow, version, state, params, dir, tasks, open, local, growing, metadata, request_id, created_at)
VALUES ($1::bigint, $2::text, 0, $3::text, '{}', '', 0, 0, 0, 1, $4::text, $5::text, $6::bigint)
