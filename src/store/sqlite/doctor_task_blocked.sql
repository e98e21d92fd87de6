-- Waiting tasks whose number of open groups is wrong, or that wait for nothing.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t
      LEFT JOIN (SELECT task, sum(CASE WHEN verdict = 'MET' THEN 0 ELSE 1 END) AS open FROM dep_group WHERE role IN ('start', 'plan') GROUP BY task) g
        ON g.task = t.id
     WHERE t.state = 'BLOCKED' AND (coalesce(g.open, 0) <> t.groups_open OR t.groups_open < 1)) AS broken
