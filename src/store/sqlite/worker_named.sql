-- The newest remote workers of that name.
-- 1 name.
-- Answers incarnation, state, address.
SELECT incarnation, state, address FROM worker WHERE name = ?1 AND kind = 'remote' ORDER BY incarnation DESC LIMIT 10
