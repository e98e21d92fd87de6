-- many
-- New edges: the task that is waited for, the group that counts it.
INSERT INTO dep_edge (task, grp)
VALUES (?1, ?2)
