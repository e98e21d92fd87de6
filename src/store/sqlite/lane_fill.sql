-- Count the places that the tasks of a queue have; there are no rows of it.
-- 1 queue.
INSERT INTO lane (queue, key, places) SELECT queue, key, count(*) FROM task WHERE run = 0 AND queue = ?1 AND gate = 1 GROUP BY queue, key
