-- What a worker holds and is asked to stop.
-- 1 incarnation.
-- Answers id, token.
SELECT id, token FROM task WHERE worker = ?1 AND state IN ('LEASED', 'RUNNING') AND cancel = 1 ORDER BY id
