-- The newest remote workers of that name.
-- 1 name.
-- Answers incarnation, state.
SELECT incarnation, state FROM worker WHERE name = $1::text AND kind = 'remote' ORDER BY incarnation DESC LIMIT 10
