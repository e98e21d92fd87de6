-- A page of the tasks of a queue that can be claimed, in the order of claims.
-- 1 queue, 2 priority, 3 turn and 4 id that they come after, 5 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT * FROM (
SELECT * FROM (SELECT id, state, CASE WHEN octet_length(payload) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE run = 0 AND queue = $1::text AND state = 'READY' AND gate < 2 AND priority = $2::bigint AND (turn > $3::bigint OR (turn = $3::bigint AND id > $4::bigint))
 ORDER BY turn, id LIMIT $5::bigint) AS same
UNION ALL
SELECT * FROM (SELECT id, state, CASE WHEN octet_length(payload) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE run = 0 AND queue = $1::text AND state = 'READY' AND gate < 2 AND priority < $2::bigint
 ORDER BY priority DESC, turn, id LIMIT $5::bigint) AS lower) AS page
 ORDER BY priority DESC, turn, id LIMIT $5::bigint
