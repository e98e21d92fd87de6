-- many
-- How many tasks of a run or queue are in each state.
-- 1 run, 2 queue.
-- Answers run, queue, state, n.
SELECT run, queue, state, n FROM tally WHERE run = ?1 AND queue = ?2
