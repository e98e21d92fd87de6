-- many
-- The first blocks of a queue, locked; those that another program is giving out are passed over.
-- 1 queue, 2 priority and 3 id of the one that they come after, 4 how many.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT id, queue, priority, retry, n, taken, created_at, payloads
  FROM block WHERE queue = ?1 AND priority <= ?2 AND (priority < ?2 OR id > ?3) ORDER BY priority DESC, id LIMIT ?4
