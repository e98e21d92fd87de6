-- many
-- Another payload.
-- 1 id, 2 payload.
UPDATE task SET payload = ?2 WHERE id = ?1
