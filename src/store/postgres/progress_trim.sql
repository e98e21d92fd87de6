-- many
-- Of what was told about an attempt the first is kept, and the newest.
-- 1 token, 2 how many of the newest.
DELETE FROM progress USING unnest($1::bigint[], $2::bigint[]) AS u (token, newest)
 WHERE progress.token = u.token AND n > 1 AND n <= (SELECT max(p.n) FROM progress p WHERE p.token = u.token) - u.newest
