-- A run moves.
-- 1 id, 2 state, 3 reason, 4 detail, 5 ended_at.
UPDATE run SET state = ?2, reason = ?3, detail = ?4, ended_at = ?5 WHERE id = ?1
