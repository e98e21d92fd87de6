-- Tasks that are held without a token, or have a token and are not held.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM task WHERE (state IN ('LEASED', 'RUNNING')) <> (token <> 0)) AS broken
