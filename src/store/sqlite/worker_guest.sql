-- many
-- The guests of these names.
-- 1 name.
-- Answers incarnation, beat_at, name.
SELECT incarnation, beat_at, name FROM worker WHERE name = ?1 AND kind = 'guest' AND state NOT IN ('LOST', 'GONE')
