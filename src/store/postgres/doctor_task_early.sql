-- Tasks that started although a dependency group was not met.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t
     WHERE t.run <> 0 AND t.groups_open > (SELECT count(*) FROM dep_group g WHERE g.task = t.id AND g.role = 'spawned' AND g.verdict <> 'MET')
       AND t.state IN ('READY', 'LEASED', 'RUNNING', 'SUCCEEDED', 'DELAYED')) AS broken
