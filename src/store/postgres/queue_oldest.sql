-- Since when the first task that can be claimed waits.
-- 1 queue.
-- Answers ready_at, no row where there is none.
SELECT ready_at FROM (
    SELECT * FROM (SELECT ready_at, priority, turn, id FROM task WHERE run = 0 AND queue = $1::text AND state = 'READY' AND gate < 2
                    ORDER BY priority DESC, turn, id LIMIT 1) AS first_task
     UNION ALL
    SELECT * FROM (SELECT created_at, priority, 0, id FROM block WHERE queue = $1::text ORDER BY priority DESC, id LIMIT 1) AS first_block) AS firsts
 ORDER BY priority DESC, turn, id LIMIT 1
