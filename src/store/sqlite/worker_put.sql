-- A worker moves or beats.
-- 1 incarnation, 2 state, 3 reason, 4 beat_at, 5 ended_at.
UPDATE worker SET state = ?2, reason = ?3, beat_at = ?4, ended_at = ?5 WHERE incarnation = ?1
