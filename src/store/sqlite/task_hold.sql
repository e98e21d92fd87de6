-- many
-- A worker takes a lease and starts.
-- 1 id, 2 state, 3 reason, 4 attempts, 5 token, 6 worker, 7 leased_at, 8 started_at, 9 deadline_at, 10 expires_at.
UPDATE task SET state = ?2, reason = ?3, attempts = ?4, token = ?5, worker = ?6, leased_at = ?7, started_at = ?8,
                deadline_at = ?9, expires_at = ?10, percent = -1, progress = '', detail = '', version = version + 1
 WHERE id = ?1
