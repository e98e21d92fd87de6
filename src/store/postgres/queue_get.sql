-- A queue.
-- 1 name.
-- Answers name, paused, tasks_max.
SELECT name, paused, tasks_max FROM queue WHERE name = $1::text
