-- Tasks whose attempts are not numbered 1, 2, … as they were counted; of a queue's the oldest may have been forgotten.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t
      LEFT JOIN (SELECT task, count(*) AS n, max(number) AS top, min(number) AS least FROM attempt WHERE number > 0 GROUP BY task) a ON a.task = t.id
     WHERE a.n <> a.top - CASE t.run WHEN 0 THEN a.least - 1 ELSE 0 END
        OR ((t.run <> 0 OR a.n > 0) AND coalesce(a.top, 0) + CASE WHEN t.state = 'RUNNING' THEN 1 ELSE 0 END <> t.attempts)) AS broken
