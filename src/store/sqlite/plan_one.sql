-- What a check or stage has beside a task row, to look at.
-- 1 id.
-- Answers version, gate, key, timeout_us, retry, check_kind, parent, its name, accept_us, progress_us, results, payload.
SELECT t.version, t.gate, t.key, t.timeout_us, t.retry, p.check_kind, p.parent, coalesce(u.name, ''), p.accept_us, p.progress_us, p.results, t.payload
  FROM task t JOIN plan_task p ON p.task = t.id LEFT JOIN task u ON u.id = p.parent WHERE t.id = ?1
