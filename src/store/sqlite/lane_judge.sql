-- The places of the open tasks of a queue: those that have begun keep theirs, the others get what is left in their order.
-- 1 queue, 2 key concurrency (0: no limit).
UPDATE task SET gate = j.gate FROM (
    SELECT id, CASE WHEN ?2 = 0 THEN 0 WHEN begun OR row_number() OVER (PARTITION BY key, begun ORDER BY priority DESC, id)
                    + (sum(CASE WHEN begun THEN 1 ELSE 0 END) OVER (PARTITION BY key)) <= ?2 THEN 1 ELSE 2 END AS gate
      FROM (SELECT id, key, priority, state IN ('LEASED', 'RUNNING') OR (gate = 1 AND attempts > 0) AS begun
              FROM task WHERE run = 0 AND queue = ?1 AND key <> '' AND (state IN ('READY', 'LEASED', 'RUNNING') OR (state = 'DELAYED' AND gate = 1))) AS o) AS j
 WHERE task.id = j.id AND task.gate <> j.gate
