-- many
-- Queues with the defaults, where there are none of the name.
-- 1 name, 2 tasks_max, 3 created_at.
INSERT INTO queue (name, tasks_max, created_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u (name, tasks_max, created_at) ORDER BY 1
    ON CONFLICT (name) DO NOTHING
