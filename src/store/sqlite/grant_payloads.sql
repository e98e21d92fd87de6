-- many
-- The args of stages, the options of checks.
-- 1 its place in the request, 2 task.
-- Answers place, payload.
SELECT ?1, payload FROM task WHERE id = ?2
