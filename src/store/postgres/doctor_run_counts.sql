-- Runs whose counters differ from their tasks.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(r.id AS TEXT) AS x FROM run r
      LEFT JOIN (SELECT run, count(*) AS tasks, sum(CASE WHEN state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED') THEN 0 ELSE 1 END) AS open,
                        sum(CASE WHEN state IN ('LEASED', 'RUNNING') THEN 1 ELSE 0 END) AS held,
                        sum(CASE WHEN state = 'FAILED' THEN 1 ELSE 0 END) AS failed
                   FROM task WHERE run <> 0 GROUP BY run) t ON t.run = r.id
     WHERE coalesce(t.tasks, 0) <> r.tasks OR coalesce(t.open, 0) <> r.open OR coalesce(t.held, 0) <> r.held
        OR coalesce(t.failed, 0) <> r.failed) AS broken
