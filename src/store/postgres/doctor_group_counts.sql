-- Dependency groups whose counters differ from the tasks they wait for.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(g.id AS TEXT) AS x FROM dep_group g
      LEFT JOIN (SELECT e.grp, count(*) AS total, sum(CASE WHEN t.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED') THEN 1 ELSE 0 END) AS done,
                        sum(CASE WHEN t.state = 'SUCCEEDED' THEN 1 ELSE 0 END) AS succeeded
                   FROM dep_edge e JOIN task t ON t.id = e.task GROUP BY e.grp) c ON c.grp = g.id
     WHERE coalesce(c.total, 0) + g.missing + (SELECT count(*) FROM dep_wanted w WHERE w.grp = g.id) <> g.total OR coalesce(c.done, 0) <> g.done OR coalesce(c.succeeded, 0) <> g.succeeded) AS broken
