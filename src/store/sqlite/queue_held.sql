-- A page of the tasks of a queue that are held. Few are: they are found by their index, not by id, which `+id` says.
-- 1 queue, 2 the id that they come after, 3 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT id, state, CASE WHEN length(cast(payload AS BLOB)) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE queue = ?1 AND state IN ('LEASED', 'RUNNING') AND +id > ?2 ORDER BY +id LIMIT ?3
