-- many
-- The pieces of workers.
-- 1 incarnation.
-- Answers task, n, worker.
SELECT task, n, worker FROM piece WHERE worker = ANY ($1::bigint[]) ORDER BY worker, task
