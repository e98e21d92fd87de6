-- many
-- A name is written: the groups that want it.
-- 1 run, 2 name.
-- Answers name, grp, and whose group it is.
DELETE FROM dep_wanted USING unnest($1::bigint[], $2::text[]) AS u (run, name) WHERE dep_wanted.run = u.run AND dep_wanted.name = u.name
RETURNING dep_wanted.name, dep_wanted.grp, (SELECT g.task FROM dep_group g WHERE g.id = dep_wanted.grp)
