-- many
-- Checks that are no longer edited, and wait for what they depend on.
-- 1 task.
-- Answers those that were: id, run, name.
UPDATE task SET reason = 'waiting_for_dependencies', version = version + 1 WHERE id = ?1 AND state = 'BLOCKED'
RETURNING id, run, name
