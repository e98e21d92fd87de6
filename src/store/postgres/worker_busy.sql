-- many
-- How many tasks workers hold; their rows are locked.
-- 1 incarnation.
-- Answers incarnation, n.
SELECT w, (SELECT count(*) FROM task WHERE worker = w AND state IN ('LEASED', 'RUNNING'))
          + (SELECT coalesce(sum(n), 0)::bigint FROM piece WHERE worker = w)
  FROM unnest($1::bigint[]) AS u (w)
