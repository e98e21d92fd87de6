-- many
-- Tasks have ended: their unique keys are free once their time is over.
-- 1 queue, 2 unique key, 3 task.
UPDATE uniqueness SET live = 0 WHERE queue = ?1 AND unique_key = ?2 AND task = ?3
