-- many
-- Who held a task before, the newest first.
-- 1 task, 2 how many.
-- Answers task, worker, outcome.
SELECT task, worker, outcome FROM attempt WHERE task = ?1 ORDER BY token DESC LIMIT ?2
