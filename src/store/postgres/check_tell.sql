-- many
-- Checks have more results.
-- 1 task, 2 results, 3 of those with a failure, 4 whether one is the last (1, 0).
UPDATE plan_task p SET results = p.results + u.results, results_failed = p.results_failed + u.failed, final = greatest(p.final, u.final)
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (task, results, failed, final) WHERE p.task = u.task
