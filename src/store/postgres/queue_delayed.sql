-- A page of the tasks of a queue that wait for their time, in the order in which they are due.
-- 1 queue, 2 due_at and 3 id that they come after, 4 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT id, state, CASE WHEN octet_length(payload) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE run = 0 AND queue = $1::text AND state = 'DELAYED' AND due_at >= $2::bigint AND (due_at > $2::bigint OR id > $3::bigint)
 ORDER BY due_at, id LIMIT $4::bigint
