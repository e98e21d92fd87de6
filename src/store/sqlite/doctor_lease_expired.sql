-- Leases that ended by themselves more than a minute ago and were not taken back.
-- 1 now.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM task
     WHERE expires_at <> 0 AND expires_at < ?1 - 60000000 AND state IN ('LEASED', 'RUNNING')
     UNION ALL
    SELECT cast(task AS TEXT) FROM piece WHERE expires_at <> 0 AND expires_at < ?1 - 60000000) AS broken
