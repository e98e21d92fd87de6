-- When the next delayed task is due. Each half finds it by an index of its own, however many wait elsewhere.
-- 1 run (-1: any), 2 queue.
-- Answers due_at, no row where there is none.
SELECT due_at FROM (SELECT due_at FROM task WHERE ?1 = -1 AND state = 'DELAYED' ORDER BY due_at LIMIT 1) AS any_scope
 UNION ALL
SELECT due_at FROM (SELECT due_at FROM task WHERE ?1 <> -1 AND state = 'DELAYED' AND run = ?1 AND queue = ?2
                     ORDER BY due_at LIMIT 1) AS one_scope
