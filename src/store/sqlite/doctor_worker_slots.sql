-- Workers that hold more than their slots.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(w.incarnation AS TEXT) AS x
      FROM worker w JOIN (SELECT worker, 1 AS n FROM task WHERE state IN ('LEASED', 'RUNNING')
                           UNION ALL
                          SELECT worker, n FROM piece) AS h ON h.worker = w.incarnation
     WHERE w.kind <> 'guest' AND w.slots > 0
     GROUP BY w.incarnation, w.slots HAVING sum(h.n) > w.slots) AS broken
