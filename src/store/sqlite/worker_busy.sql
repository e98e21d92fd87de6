-- many
-- How many tasks workers hold; their rows are locked.
-- 1 incarnation.
-- Answers incarnation, n.
SELECT ?1, (SELECT count(*) FROM task WHERE worker = ?1 AND state IN ('LEASED', 'RUNNING')) + (SELECT coalesce(sum(n), 0) FROM piece WHERE worker = ?1)
