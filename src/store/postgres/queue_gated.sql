-- A page of the tasks of a queue that wait for a place of their key.
-- 1 queue, 2 key, 3 priority and 4 id that they come after, 5 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT id, state, CASE WHEN octet_length(payload) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE queue = $1::text AND gate = 2 AND state = 'READY' AND key >= $2::text AND (key > $2::text OR priority < $3::bigint OR (priority = $3::bigint AND id > $4::bigint))
 ORDER BY key, priority DESC, id LIMIT $5::bigint
