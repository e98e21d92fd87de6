-- Leases of stages that nobody would ever take back: not accepted by their runners, or of calls that a server makes, and
-- without an end of their own.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM task
     WHERE gate = 3 AND expires_at = 0
       AND (state = 'LEASED' OR (state = 'RUNNING' AND key LIKE '%"mode":"sync"%'))) AS broken
