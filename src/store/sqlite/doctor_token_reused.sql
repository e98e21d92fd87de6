-- Live leases whose token an ended attempt has used.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.token AS TEXT) AS x FROM task t JOIN attempt a ON a.token = t.token WHERE t.token <> 0
     UNION ALL
    SELECT cast(p.token AS TEXT) FROM piece p JOIN attempt a ON a.token >= p.token AND a.token < p.token + p.n
     UNION ALL
    SELECT cast(p.token AS TEXT) FROM piece p JOIN ended e ON e.token > p.token - 128 AND e.token < p.token + p.n AND e.token + e.n > p.token) AS broken
