-- many
-- More (or fewer) tasks in a state.
-- 1 run, 2 queue, 3 state, 4 how many.
INSERT INTO tally (run, queue, state, n) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (run, queue, state) DO UPDATE SET n = n + excluded.n
