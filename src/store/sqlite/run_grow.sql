-- A run has more tasks.
-- 1 run, 2 how many more.
UPDATE run SET tasks = tasks + ?2 WHERE id = ?1
