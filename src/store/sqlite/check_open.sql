-- Checks of a run that wait for results.
-- 1 run.
-- Answers id.
SELECT id FROM task WHERE run = ?1 AND run <> 0 AND gate = 5 AND state = 'READY' ORDER BY id
