-- Live leases whose token an ended attempt has used.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.token AS TEXT) AS x FROM task t JOIN attempt a ON a.token = t.token WHERE t.token <> 0) AS broken
