-- many
-- A group is met, or never can be.
-- 1 id, 2 verdict.
UPDATE dep_group SET verdict = ?2 WHERE id = ?1
