-- Runs by state, and how those ended that ended since a time.
-- 1 since.
-- Answers state, n, n ended since.
SELECT state, count(*), sum(ended_at >= ?1) FROM run GROUP BY state
