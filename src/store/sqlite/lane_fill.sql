-- Count the places that the tasks of a queue have. There are no rows of it, but for those that another program, which had
-- read the queue's settings before they changed, may have made meanwhile: they count that one's tasks and no others.
-- 1 queue.
INSERT INTO lane (queue, key, places)
SELECT t.queue, t.key, t.n - coalesce(l.places, 0)
  FROM (SELECT queue, key, count(*) AS n FROM task WHERE run = 0 AND queue = ?1 AND gate = 1 GROUP BY queue, key) AS t
  LEFT JOIN lane l ON l.queue = t.queue AND l.key = t.key
 WHERE t.n <> coalesce(l.places, 0) ORDER BY 1, 2
    ON CONFLICT (queue, key) DO UPDATE SET places = lane.places + excluded.places
