-- many
-- Take unique keys that nobody has.
-- 1 queue, 2 unique key, 3 task, 4 until, 5 now.
-- Answers task, no row where somebody has it.
INSERT INTO uniqueness (queue, unique_key, task, until, live) VALUES (?1, ?2, ?3, ?4, 1)
    ON CONFLICT (queue, unique_key) DO UPDATE SET task = excluded.task, until = excluded.until, live = 1
 WHERE uniqueness.live = 0 AND uniqueness.until <= ?5
RETURNING task
