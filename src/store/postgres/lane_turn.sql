-- many
-- Whose turn it is in a fair queue, and the last turn of a key.
-- 1 queue, 2 key, 3 priority.
-- Answers queue, key, priority, the turn of the first READY task, the last turn of the key (0: none).
SELECT q, k, p,
       coalesce((SELECT turn FROM task WHERE run = 0 AND queue = q AND priority = p AND state = 'READY' AND gate < 2 AND turn > 0
                  ORDER BY turn LIMIT 1), 0),
       coalesce((SELECT turn FROM task WHERE queue = q AND key = k AND priority = p AND state = 'READY' AND turn > 0
                  ORDER BY turn DESC LIMIT 1), 0)
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (q, k, p)
