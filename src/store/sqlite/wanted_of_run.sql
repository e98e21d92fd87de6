-- What a run waits for and nobody has written, by group.
-- 1 run.
-- Answers name, grp.
SELECT name, grp FROM dep_wanted WHERE run = ?1 ORDER BY grp, name
