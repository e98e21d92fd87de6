-- many
-- What a grant has to know of a stage, beside its task row.
-- 1 task.
-- Answers task, accept_us, progress_us, refusals, the outcome of its newest attempt.
SELECT t.id, coalesce(p.accept_us, 0), coalesce(p.progress_us, 0), coalesce(p.refusals, 0), coalesce(a.outcome, '')
  FROM task t LEFT JOIN plan_task p ON p.task = t.id LEFT JOIN attempt a ON a.token = t.last_token WHERE t.id = ?1
