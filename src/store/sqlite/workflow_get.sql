-- A version of a workflow.
-- 1 name, 2 version (0: the newest).
-- Answers name, version, kind, tasks, path, format, created_at, source, digest.
SELECT name, version, kind, tasks, path, format, created_at, source, digest
  FROM workflow WHERE name = ?1 AND (?2 = 0 OR version = ?2) ORDER BY version DESC LIMIT 1
