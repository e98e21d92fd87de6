-- A page of the tasks of a queue that wait for a place of their key.
-- 1 queue, 2 key, 3 priority and 4 id that they come after, 5 how many.
-- A row of a list: id, state, payload (none where it is long), key, reason, message, priority, attempts, created_at, due_at, ended_at, turn.
SELECT id, state, CASE WHEN length(cast(payload AS BLOB)) <= 16384 THEN payload END, key, reason, CASE WHEN token <> 0 THEN progress ELSE detail END, priority, attempts,
       created_at, due_at, ended_at, turn
  FROM task WHERE queue = ?1 AND gate = 2 AND state = 'READY' AND key >= ?2 AND (key > ?2 OR priority < ?3 OR (priority = ?3 AND id > ?4))
 ORDER BY key, priority DESC, id LIMIT ?5
