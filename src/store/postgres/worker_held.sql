-- What a worker holds.
-- 1 incarnation.
-- Answers id, token, cancel.
SELECT id, token, cancel FROM task WHERE worker = $1::bigint AND state IN ('LEASED', 'RUNNING') ORDER BY id
