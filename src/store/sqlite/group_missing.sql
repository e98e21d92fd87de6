-- many
-- Groups that wanted names which will never be written.
-- 1 id, 2 how many.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest.
UPDATE dep_group SET missing = missing + ?2 WHERE id = ?1
RETURNING id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest
