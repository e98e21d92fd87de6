-- Keys whose places are not those of its tasks.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT coalesce(a.queue, b.queue) || ' ' || coalesce(a.key, b.key) AS x
      FROM (SELECT queue, key, count(*) AS n FROM task WHERE run = 0 AND gate = 1 GROUP BY queue, key) a
      FULL JOIN lane b ON a.queue = b.queue AND a.key = b.key
     WHERE coalesce(a.n, 0) <> coalesce(b.places, 0)) AS broken
