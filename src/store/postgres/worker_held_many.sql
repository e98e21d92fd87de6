-- many
-- What workers hold.
-- 1 incarnation.
-- Answers id, worker.
SELECT id, worker FROM task WHERE worker = ANY ($1::bigint[]) AND state IN ('LEASED', 'RUNNING') ORDER BY worker, id
