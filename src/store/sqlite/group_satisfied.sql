-- many
-- Fewer than all sufficed.
-- 1 id, 2 their names, JSON.
UPDATE dep_group SET satisfied = ?2 WHERE id = ?1
