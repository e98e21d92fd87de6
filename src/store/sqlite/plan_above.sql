-- What some tasks wait for, and what that waits for, as far as it goes.
-- 1 ids, a JSON list, 2 how many edges at most.
-- Answers edges: who waits, for whom.
WITH RECURSIVE above (id) AS (
    SELECT value FROM json_each(?1)
     UNION
    SELECT e.task FROM above a JOIN dep_group g ON g.task = a.id JOIN dep_edge e ON e.grp = g.id)
SELECT g.task, e.task FROM above a JOIN dep_group g ON g.task = a.id JOIN dep_edge e ON e.grp = g.id
 LIMIT ?2
