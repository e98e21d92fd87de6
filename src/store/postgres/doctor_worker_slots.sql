-- Workers that hold more than their slots.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(w.incarnation AS TEXT) AS x FROM worker w JOIN task t ON t.worker = w.incarnation AND t.state IN ('LEASED', 'RUNNING')
     WHERE w.kind <> 'guest'
     GROUP BY w.incarnation, w.slots HAVING count(*) > w.slots) AS broken
