-- many
-- What decides whether a check that waits for results is concluded.
-- 1 task.
-- Answers task, results, results_failed, final, growing, and the stages assigned to it: total, done, succeeded.
SELECT p.task, p.results, p.results_failed, p.final, r.growing, coalesce(g.total, 0), coalesce(g.done, 0), coalesce(g.succeeded, 0)
  FROM task t JOIN plan_task p ON p.task = t.id JOIN run r ON r.id = t.run
  LEFT JOIN dep_group g ON g.task = t.id AND g.role = 'final'
 WHERE t.id = ANY ($1::bigint[]) AND t.state = 'READY' ORDER BY t.id
