-- many
-- The runs that have READY stages of a demand, each by one look at the index.
-- 1 its place in the request, 2 demand, 3 runs after this one, 4 to this one, 5 how many.
-- Answers place, run.
WITH RECURSIVE r (run) AS (
    SELECT (SELECT run FROM task WHERE state = 'READY' AND gate = 3 AND key = ?2 AND run > ?3 AND run <= ?4 ORDER BY run LIMIT 1)
    UNION ALL
    SELECT (SELECT run FROM task WHERE state = 'READY' AND gate = 3 AND key = ?2 AND run > r.run AND run <= ?4 ORDER BY run LIMIT 1)
      FROM r WHERE r.run IS NOT NULL LIMIT ?5)
SELECT ?1, run FROM r WHERE run IS NOT NULL
