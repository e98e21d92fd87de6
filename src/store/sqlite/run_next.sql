-- The id of the next run: runs are numbered 1, 2, …, since people type these numbers.
-- Answers id.
SELECT coalesce(max(id), 0) + 1 FROM run
