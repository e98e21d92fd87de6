-- many
-- More (or fewer) tasks in a state.
-- 1 run, 2 queue, 3 state, 4 how many.
INSERT INTO tally (run, queue, state, n)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS u (run, queue, state, n) ORDER BY 1, 2, 3
    ON CONFLICT (run, queue, state) DO UPDATE SET n = tally.n + excluded.n
