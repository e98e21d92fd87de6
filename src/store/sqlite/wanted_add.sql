-- many
-- Edges to names that nobody has written: run, name, grp.
INSERT INTO dep_wanted (run, name, grp)
VALUES (?1, ?2, ?3)
