-- many
-- New blocks.
-- 1 id, 2 queue, 3 priority, 4 retry, 5 n, 6 created_at, 7 payloads.
INSERT INTO block (id, queue, priority, retry, n, created_at, payloads) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
