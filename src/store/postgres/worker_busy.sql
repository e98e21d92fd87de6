-- many
-- How many tasks workers hold; their rows are locked.
-- 1 incarnation.
-- Answers incarnation, n.
SELECT w, (SELECT count(*) FROM task WHERE worker = w AND state IN ('LEASED', 'RUNNING')) FROM unnest($1::bigint[]) AS u (w)
