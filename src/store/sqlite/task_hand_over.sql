-- many
-- A lease goes over to the next incarnation of its holder.
-- 1 id, 2 token, 3 incarnation.
UPDATE task SET worker = ?3 WHERE id = ?1 AND token = ?2
