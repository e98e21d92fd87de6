-- many
-- The runs that have READY stages of a demand, each by one look at the index.
-- 1 its place in the request, 2 demand, 3 runs after this one, 4 to this one, 5 how many.
-- Answers place, run.
SELECT u.place, f.run
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS u (place, demand, after, til, n), LATERAL (
    WITH RECURSIVE r (run) AS (
        SELECT (SELECT run FROM task WHERE state = 'READY' AND gate = 3 AND key = u.demand AND run > u.after AND run <= u.til
                 ORDER BY run LIMIT 1)
        UNION ALL
        SELECT (SELECT run FROM task WHERE state = 'READY' AND gate = 3 AND key = u.demand AND run > r.run AND run <= u.til
                 ORDER BY run LIMIT 1)
          FROM r WHERE r.run IS NOT NULL)
    SELECT run FROM r WHERE run IS NOT NULL LIMIT u.n) AS f
