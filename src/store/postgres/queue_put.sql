-- A queue and its settings.
-- 1 name, 2 paused, 3 tasks_max, 4 created_at.
INSERT INTO queue (name, paused, tasks_max, created_at) VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint)
    ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, tasks_max = excluded.tasks_max
