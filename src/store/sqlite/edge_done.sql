-- many
-- A task has ended: every group that waits for it counts it.
-- 1 the task, 2 whether it succeeded (1, 0).
-- Answers id, task, rule, need, total, done, succeeded, verdict, and a task that has ended.
UPDATE dep_group SET done = done + 1, succeeded = succeeded + ?2
 WHERE id IN (SELECT grp FROM dep_edge WHERE task = ?1)
RETURNING id, task, rule, need, total, done, succeeded, verdict, ?1
