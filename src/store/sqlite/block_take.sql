-- many
-- More of its first tasks are taken.
-- 1 id, 2 taken.
UPDATE block SET taken = ?2 WHERE id = ?1
