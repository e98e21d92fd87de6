-- A page of the dead letters of a queue.
-- 1 queue, 2 the id that they come after, 3 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT id, state, CASE WHEN octet_length(payload) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE run = 0 AND queue = $1::text AND state = 'FAILED' AND id > $2::bigint ORDER BY id LIMIT $3::bigint
