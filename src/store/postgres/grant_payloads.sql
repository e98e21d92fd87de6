-- many
-- The args of stages, the options of checks.
-- 1 its place in the request, 2 task.
-- Answers place, payload.
SELECT u.place, t.payload FROM unnest($1::bigint[], $2::bigint[]) AS u (place, task) JOIN task t ON t.id = u.task
