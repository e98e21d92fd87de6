-- Unique keys that tasks have which have ended, and open tasks without theirs (one that was given back has none).
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT u.queue || ' ' || u.unique_key AS x FROM uniqueness u LEFT JOIN task t ON t.id = u.task
     WHERE u.live = 1 AND (t.id IS NULL OR t.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM task t LEFT JOIN uniqueness u ON u.queue = t.queue AND u.unique_key = t.unique_key AND u.task = t.id
     WHERE t.unique_key <> '' AND t.budget_from = 0 AND t.state IN ('DELAYED', 'READY', 'LEASED', 'RUNNING')
       AND coalesce(u.live, 0) = 0) AS broken
