-- many
-- What checks and stages have beside a task row: task, check_kind, parent, accept_us, progress_us, needs, goals.
INSERT INTO plan_task (task, check_kind, parent, accept_us, progress_us, needs, goals)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
