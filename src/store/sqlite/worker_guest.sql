-- The guest of that name.
-- 1 name.
-- Answers incarnation, beat_at.
SELECT incarnation, beat_at FROM worker WHERE name = ?1 AND kind = 'guest' AND state NOT IN ('LOST', 'GONE')
