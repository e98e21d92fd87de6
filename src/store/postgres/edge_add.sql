-- many
-- New edges: the task that is waited for, the group that counts it.
INSERT INTO dep_edge (task, grp)
SELECT * FROM unnest($1::bigint[], $2::bigint[])
