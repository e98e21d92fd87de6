-- many
-- The names of tasks.
-- 1 id.
-- Answers id, name.
SELECT id, name FROM task WHERE id = ?1
