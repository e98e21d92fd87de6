-- many
-- The holder of a task starts the attempt.
-- 1 id, 2 state, 3 reason, 4 attempts, 5 started_at, 6 expires_at.
UPDATE task SET state = ?2, reason = ?3, attempts = ?4, started_at = ?5, expires_at = ?6, version = version + 1
 WHERE id = ?1
