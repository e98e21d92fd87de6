-- Live leases that share a token.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(token AS TEXT) AS x FROM task WHERE token <> 0 GROUP BY token HAVING count(*) > 1) AS broken
