-- Counts that differ from the sums (of states that keep their rows).
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(coalesce(a.run, b.run) AS TEXT) || ' ' || coalesce(a.state, b.state) AS x
      FROM (SELECT run, queue, state, sum(n) AS n FROM (
               SELECT run, queue, state, count(*) AS n FROM task GROUP BY run, queue, state
                UNION ALL
               SELECT 0, queue, 'READY', sum(n - taken) FROM block GROUP BY queue
                UNION ALL
               SELECT 0, queue, 'RUNNING', sum(n) FROM piece GROUP BY queue) AS held GROUP BY run, queue, state) a
      FULL JOIN (SELECT run, queue, state, sum(n) AS n FROM tally WHERE run <> 0 OR state NOT IN ('SUCCEEDED', 'CANCELLED') GROUP BY run, queue, state) b
        ON a.run = b.run AND a.queue = b.queue AND a.state = b.state
     WHERE coalesce(a.n, 0) <> coalesce(b.n, 0)) AS broken
