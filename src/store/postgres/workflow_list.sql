-- The newest version of each workflow.
-- 1 names after this one, 2 how many.
-- Answers name, version, kind, tasks, path, format, created_at.
SELECT name, version, kind, tasks, path, format, created_at
  FROM workflow w WHERE name > $1::text AND version = (SELECT max(version) FROM workflow v WHERE v.name = w.name)
 ORDER BY name LIMIT $2::bigint
