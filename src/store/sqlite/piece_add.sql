-- many
-- A worker takes neighbours of a block.
-- 1 task, 2 n, 3 token, 4 worker, 5 queue, 6 priority, 7 retry, 8 created_at, 9 leased_at, 10 expires_at, 11 payloads.
INSERT INTO piece (task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
