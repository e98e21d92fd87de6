-- many
-- What tasks of a run handed on.
-- 1 run, 2 name.
-- Answers name, output (null: none).
SELECT t.name, a.result FROM task t LEFT JOIN attempt a ON a.token = t.last_token AND a.outcome = 'succeeded'
 WHERE t.run = ?1 AND t.run <> 0 AND t.name = ?2
