-- What a group waits for, the unfinished first.
-- 1 group, 2 how many.
-- Answers name, state (empty: nobody has written it yet).
SELECT name, state FROM (
    SELECT t.name, t.state, t.id FROM dep_edge e JOIN task t ON t.id = e.task WHERE e.grp = $1::bigint
     UNION ALL
    SELECT name, '', 0 FROM dep_wanted WHERE grp = $1::bigint) AS awaited
 ORDER BY state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED'), id, name LIMIT $2::bigint
