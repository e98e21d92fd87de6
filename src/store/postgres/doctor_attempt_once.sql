-- Tasks with more than one successful attempt.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(task AS TEXT) AS x FROM attempt WHERE outcome = 'succeeded' GROUP BY task HAVING count(*) > 1
     UNION ALL
    SELECT cast(a.task AS TEXT) FROM ended e JOIN attempt a ON a.task >= e.task AND a.task < e.task + e.n
     UNION ALL
    SELECT cast(f.task AS TEXT) FROM ended e JOIN ended f ON f.task >= e.task AND f.task < e.task + e.n AND f.token <> e.token) AS broken
