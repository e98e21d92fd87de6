-- many
-- Groups of plans: id, run, task, rule, need, total, done, succeeded, verdict, role, cancel_rest, satisfied.
INSERT INTO dep_group (id, run, task, rule, need, total, done, succeeded, verdict, role, cancel_rest, satisfied)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
