-- many
-- What tasks of a run handed on.
-- 1 run, 2 name.
-- Answers name, output (null: none).
SELECT t.name, a.result FROM unnest($1::bigint[], $2::text[]) AS u (run, name)
  JOIN task t ON t.run = u.run AND t.run <> 0 AND t.name = u.name
  LEFT JOIN attempt a ON a.token = t.last_token AND a.outcome = 'succeeded' 
