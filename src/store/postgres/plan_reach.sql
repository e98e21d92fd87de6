-- Who waits for some tasks, and who for those, as far as it goes.
-- 1 ids, a JSON list, 2 how many edges at most.
-- Answers edges: who waits, for whom.
WITH RECURSIVE reached (id) AS (
    SELECT value::bigint FROM json_array_elements_text($1::text::json)
     UNION
    SELECT g.task FROM reached r JOIN dep_edge e ON e.task = r.id JOIN dep_group g ON g.id = e.grp)
SELECT g.task, r.id FROM reached r JOIN dep_edge e ON e.task = r.id JOIN dep_group g ON g.id = e.grp
 LIMIT $2::bigint
