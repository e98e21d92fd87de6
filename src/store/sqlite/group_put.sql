-- many
-- A group has counted ends, and may be met, or can never be.
-- 1 id, 2 done, 3 succeeded, 4 verdict.
UPDATE dep_group SET done = ?2, succeeded = ?3, verdict = ?4 WHERE id = ?1
