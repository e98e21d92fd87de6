-- The newest event of a run.
-- 1 run.
-- Answers seq, 0 where there is none.
SELECT coalesce(max(seq), 0) FROM event WHERE run = $1::bigint
