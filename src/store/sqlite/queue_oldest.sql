-- Since when the first task that can be claimed waits.
-- 1 queue.
-- Answers ready_at, no row where there is none.
SELECT ready_at FROM task WHERE run = 0 AND queue = ?1 AND state = 'READY' AND gate < 2
 ORDER BY priority DESC, turn, id LIMIT 1
