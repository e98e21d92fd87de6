-- many
-- The end of leases and what their holders told of the progress.
-- 1 id, 2 expires_at, 3 percent, 4 progress.
UPDATE task SET expires_at = ?2, percent = ?3, progress = ?4 WHERE id = ?1
