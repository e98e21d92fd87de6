-- The demands that have READY stages, each by one look at the index.
-- 1 demands after this one, 2 how many.
-- Answers key.
WITH RECURSIVE d (key) AS (
    SELECT (SELECT key FROM task WHERE state = 'READY' AND gate = 3 AND key > $1::text ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT key FROM task WHERE state = 'READY' AND gate = 3 AND key > d.key ORDER BY key LIMIT 1)
      FROM d WHERE d.key IS NOT NULL)
SELECT key FROM d WHERE key IS NOT NULL LIMIT $2::bigint
