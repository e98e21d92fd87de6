-- Live leases that share a token.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(token AS TEXT) AS x FROM task WHERE token <> 0 GROUP BY token HAVING count(*) > 1
     UNION ALL
    SELECT cast(p.token AS TEXT) FROM piece p JOIN piece q ON q.token >= p.token AND q.token < p.token + p.n AND q.task <> p.task
     UNION ALL
    SELECT cast(t.token AS TEXT) FROM task t JOIN piece p ON t.token >= p.token AND t.token < p.token + p.n) AS broken
