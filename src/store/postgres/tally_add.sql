-- many
-- More (or fewer) tasks in a state.
-- 1 run, 2 queue, 3 state, 4 how many.
-- Of a queue each server process adds to a row of its own, one of 16: a count is locked until the commit is on disk.
INSERT INTO tally (run, queue, state, n, shard)
SELECT run, queue, state, n, CASE run WHEN 0 THEN pg_backend_pid() % 16 ELSE 0 END
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS u (run, queue, state, n) ORDER BY 1, 2, 3
    ON CONFLICT (run, queue, state, shard) DO UPDATE SET n = tally.n + excluded.n
