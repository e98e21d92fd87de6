-- many
-- rowid
-- Changes, in order.
-- 1 at, 2 run, 3 task, 4 kind, 5 data.
-- Answers seq.
INSERT INTO event (at, run, task, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)
