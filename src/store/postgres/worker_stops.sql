-- many
-- What workers hold and are asked to stop.
-- 1 incarnation.
-- Answers worker, id, token.
SELECT worker, id, token FROM task WHERE worker = ANY ($1::bigint[]) AND state IN ('LEASED', 'RUNNING') AND cancel = 1 ORDER BY worker, id
