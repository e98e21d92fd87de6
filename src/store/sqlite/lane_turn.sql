-- many
-- Whose turn it is in a fair queue, and the last turn of a key.
-- 1 queue, 2 key, 3 priority.
-- Answers queue, key, priority, the turn of the first READY task, the last turn of the key (0: none).
SELECT ?1, ?2, ?3,
       coalesce((SELECT turn FROM task WHERE run = 0 AND queue = ?1 AND priority = ?3 AND state = 'READY' AND gate < 2 AND turn > 0
                  ORDER BY turn LIMIT 1), 0),
       coalesce((SELECT turn FROM task WHERE queue = ?1 AND key = ?2 AND priority = ?3 AND state = 'READY' AND turn > 0
                  ORDER BY turn DESC LIMIT 1), 0)
