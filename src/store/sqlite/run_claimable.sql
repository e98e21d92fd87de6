-- The runs that a server's executor may take tasks of now, in the order of their ids: no program carries them.
-- 1 ids after this one, 2 how many.
-- id, dir.
SELECT id, dir
  FROM run
 WHERE id > ?1 AND state IN ('RUNNING', 'CANCELLING') AND local = 0
   AND (max_parallel = 0 OR held < max_parallel)
   AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.run = run.id AND worker.state NOT IN ('LOST', 'GONE'))
   AND EXISTS (SELECT 1 FROM task WHERE task.run = run.id AND task.queue = '' AND task.state = 'READY' AND task.gate < 2)
 ORDER BY id LIMIT ?2
