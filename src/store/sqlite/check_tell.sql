-- many
-- Checks have more results.
-- 1 task, 2 results, 3 of those with a failure, 4 whether one is the last (1, 0).
UPDATE plan_task SET results = results + ?2, results_failed = results_failed + ?3, final = max(final, ?4) WHERE task = ?1
