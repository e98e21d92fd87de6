-- many
-- How many tasks workers hold; their rows are locked.
-- 1 incarnation.
-- Answers incarnation, n.
SELECT ?1, count(*) FROM task WHERE worker = ?1 AND state IN ('LEASED', 'RUNNING')
