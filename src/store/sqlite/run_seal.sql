-- Nothing can be added to a run any more.
-- 1 run.
UPDATE run SET growing = 0 WHERE id = ?1
