-- Who has a duty.
-- 1 name.
-- Answers holder, token, expires_at; no row where nobody ever had it.
SELECT holder, token, expires_at FROM duty WHERE name = ?1
