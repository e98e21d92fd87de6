-- Runs with more held tasks than their limit.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM run WHERE max_parallel > 0 AND held > max_parallel) AS broken
