-- many
-- Take unique keys that nobody has.
-- 1 queue, 2 unique key, 3 task, 4 until, 5 now.
-- Answers task, no row where somebody has it.
INSERT INTO uniqueness (queue, unique_key, task, until, live)
SELECT q, k, t, n, 1 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS u (q, k, t, n) ORDER BY q, k
    ON CONFLICT (queue, unique_key) DO UPDATE SET task = excluded.task, until = excluded.until, live = 1
 WHERE uniqueness.live = 0 AND uniqueness.until <= ($5::bigint[])[1]
RETURNING task
