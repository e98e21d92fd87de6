-- many
-- Edges to names that nobody has written: run, name, grp.
INSERT INTO dep_wanted (run, name, grp)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
