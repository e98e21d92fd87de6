-- many
-- A finished task of a queue leaves; its attempts stay.
-- 1 id.
DELETE FROM task WHERE id = ?1
