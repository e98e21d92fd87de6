-- many
-- Of what was told about an attempt the first is kept, and the newest.
-- 1 token, 2 how many of the newest.
DELETE FROM progress WHERE token = ?1 AND n > 1 AND n <= (SELECT max(n) FROM progress WHERE token = ?1) - ?2
