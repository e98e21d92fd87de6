-- many
-- Queues with the defaults, where there are none of the name.
-- 1 name, 2 tasks_max, 3 created_at.
INSERT INTO queue (name, tasks_max, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING
