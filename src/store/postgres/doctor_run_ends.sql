-- Runs that have ended with open tasks, or have none open, do not grow and did not end.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM run WHERE (state IN ('RUNNING', 'CANCELLING')) <> (open > 0 OR growing = 1)) AS broken
