-- many
-- What workers hold.
-- 1 incarnation.
-- Answers id, worker.
SELECT id, worker FROM task WHERE worker = ?1 AND state IN ('LEASED', 'RUNNING') ORDER BY worker, id
