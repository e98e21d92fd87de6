-- many
-- The pieces of workers.
-- 1 incarnation.
-- Answers task, n, worker.
SELECT task, n, worker FROM piece WHERE worker = ?1 ORDER BY task
