-- When the next delayed task is due.
-- 1 run (-1: any), 2 queue.
-- Answers due_at, no row where there is none.
SELECT due_at FROM task
 WHERE state = 'DELAYED' AND ($1::bigint = -1 OR (run = $1::bigint AND queue = $2::text)) ORDER BY due_at LIMIT 1
