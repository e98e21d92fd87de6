-- many
-- Set how many groups of a task are not met.
-- 1 id, 2 how many.
UPDATE task SET groups_open = ?2 WHERE id = ?1
