-- How many tasks a worker holds; its row is locked.
-- 1 incarnation.
-- Answers n.
SELECT count(*) FROM task WHERE worker = ?1 AND state IN ('LEASED', 'RUNNING')
