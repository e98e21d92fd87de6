-- many
-- Ask the holder to stop it.
-- 1 id.
UPDATE task SET cancel = 1, version = version + 1 WHERE id = ?1
