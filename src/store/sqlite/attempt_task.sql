-- What is left of a task of a queue that has ended: its newest attempt.
-- 1 task.
-- Answers run, queue, outcome, started_at, ended_at, result.
SELECT run, queue, outcome, started_at, ended_at, result FROM attempt WHERE task = ?1 ORDER BY token DESC LIMIT 1
