-- How many tasks are in each state, in all.
-- Answers state, n.
SELECT state, sum(n) FROM tally GROUP BY state
