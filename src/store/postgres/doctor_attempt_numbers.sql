-- Tasks whose attempts are not numbered 1, 2, … as they were counted.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t
      LEFT JOIN (SELECT task, count(*) AS n, max(number) AS top FROM attempt WHERE number > 0 GROUP BY task) a ON a.task = t.id
     WHERE a.n <> a.top OR coalesce(a.top, 0) + CASE WHEN t.state = 'RUNNING' THEN 1 ELSE 0 END <> t.attempts) AS broken
