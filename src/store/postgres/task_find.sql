-- The id of a task of a run.
-- 1 run, 2 name.
-- Answers id.
SELECT id FROM task WHERE run = $1::bigint AND run <> 0 AND name = $2::text
