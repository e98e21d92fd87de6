-- Workers that were over long ago are forgotten.
-- 1 when they were over, 2 how many.
DELETE FROM worker WHERE incarnation IN (
    SELECT incarnation FROM worker WHERE state IN ('LOST', 'GONE') AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2)
