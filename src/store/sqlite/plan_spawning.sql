-- How many groups of a stage that has started are open.
-- 1 task, 2 groups_open.
UPDATE task SET groups_open = ?2, version = version + 1 WHERE id = ?1
