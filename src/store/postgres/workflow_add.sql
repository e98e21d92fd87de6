-- A version of a workflow.
-- 1 name, 2 version, 3 digest, 4 kind, 5 source, 6 format, 7 path, 8 tasks, 9 created_at.
INSERT INTO workflow (name, version, digest, kind, source, format, path, tasks, created_at)
VALUES ($1::text, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::text, $8::bigint, $9::bigint)
