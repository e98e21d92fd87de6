-- Changes after a seq.
-- 1 run (0: all), 2 seq, 3 how many.
-- Answers seq, at, run, task, name, kind, data.
SELECT e.seq, e.at, e.run, e.task, coalesce(t.name, ''), e.kind, e.data
  FROM event e LEFT JOIN task t ON t.id = e.task
 WHERE ($1::bigint = 0 OR e.run = $1::bigint) AND e.seq > $2::bigint ORDER BY e.seq LIMIT $3::bigint
