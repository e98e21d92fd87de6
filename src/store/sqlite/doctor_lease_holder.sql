-- Held tasks whose holder is over or unknown.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t LEFT JOIN worker w ON w.incarnation = t.worker
     WHERE t.state IN ('LEASED', 'RUNNING') AND (w.state IS NULL OR w.state IN ('LOST', 'GONE'))
     UNION ALL
    SELECT cast(p.task AS TEXT) FROM piece p LEFT JOIN worker w ON w.incarnation = p.worker
     WHERE w.state IS NULL OR w.state IN ('LOST', 'GONE')) AS broken
