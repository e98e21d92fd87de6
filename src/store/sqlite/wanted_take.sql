-- many
-- A name is written: the groups that want it.
-- 1 run, 2 name.
-- Answers name, grp, and whose group it is.
DELETE FROM dep_wanted WHERE run = ?1 AND name = ?2
RETURNING name, grp, (SELECT g.task FROM dep_group g WHERE g.id = dep_wanted.grp)
