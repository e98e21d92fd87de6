-- Runs with open tasks of which none can ever move: nothing is ready, held or delayed.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(r.id AS TEXT) AS x FROM run r
     WHERE r.open > 0 AND r.growing = 0 AND NOT EXISTS (SELECT 1 FROM task t WHERE t.run = r.id AND t.state IN ('READY', 'LEASED', 'RUNNING', 'DELAYED'))) AS broken
