-- many
-- New dependency groups: id, run, task, rule, need, total.
INSERT INTO dep_group (id, run, task, rule, need, total)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
