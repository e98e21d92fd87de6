-- Runs by state, and how those ended that ended since a time.
-- 1 since.
-- Answers state, n, n ended since.
SELECT state, count(*), count(*) FILTER (WHERE ended_at >= $1::bigint) FROM run GROUP BY state
