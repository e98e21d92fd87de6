-- A version of a workflow.
-- 1 name, 2 version, 3 digest, 4 kind, 5 source, 6 format, 7 path, 8 tasks, 9 created_at.
INSERT INTO workflow (name, version, digest, kind, source, format, path, tasks, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
