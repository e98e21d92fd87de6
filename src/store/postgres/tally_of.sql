-- many
-- How many tasks of a run or queue are in each state.
-- 1 run, 2 queue.
-- Answers run, queue, state, n.
SELECT run, queue, state, sum(n)::bigint FROM unnest($1::bigint[], $2::text[]) AS u (r, q) JOIN tally ON run = u.r AND queue = u.q
 GROUP BY run, queue, state
