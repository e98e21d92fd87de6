-- Let servers' executors carry a run.
-- 1 id.
UPDATE run SET local = 0 WHERE id = ?1
