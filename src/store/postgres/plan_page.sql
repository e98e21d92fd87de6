-- Checks and stages of a run, to look at.
-- 1 run, 2 ids after this one, 3 names, 4 kind (0 all, 1 checks, 2 stages), 5 kinds of checks, 6 states, 7 how many; 3, 5 and 6 are JSON lists, empty: any.
-- A view row: id, run, queue, name, state, reason, detail, priority, due_at, cancel, attempts, token, worker, created_at, started_at, ended_at, output. Then version, gate, key, timeout_us, retry, check_kind, parent, its name, accept_us, progress_us, results, payload.
SELECT t.id, t.run, t.queue, t.name, t.state, t.reason, t.detail, t.priority, t.due_at, t.cancel, t.attempts, t.token, t.worker, t.created_at, t.started_at, t.ended_at,
       (SELECT a.result FROM attempt a WHERE a.token = t.last_token AND a.outcome = 'succeeded'),
       t.version, t.gate, t.key, t.timeout_us, t.retry, p.check_kind, p.parent, coalesce(u.name, ''), p.accept_us, p.progress_us, p.results, t.payload
  FROM task t JOIN plan_task p ON p.task = t.id LEFT JOIN task u ON u.id = p.parent
 WHERE t.run = $1::bigint AND t.run <> 0 AND t.id > $2::bigint
   AND ($3::text = '[]' OR t.name IN (SELECT json_array_elements_text($3::text::json)))
   AND ($4::bigint = 0 OR (t.gate = 5) = ($4::bigint = 1))
   AND ($5::text = '[]' OR (t.gate = 5 AND p.check_kind IN (SELECT json_array_elements_text($5::text::json))))
   AND ($6::text = '[]' OR t.state IN (SELECT json_array_elements_text($6::text::json))
        OR (t.gate = 5 AND CASE t.state WHEN 'BLOCKED' THEN CASE t.reason WHEN 'being_planned' THEN 'PLANNING' ELSE 'PLANNED' END WHEN 'READY' THEN 'WAITING' ELSE 'FINAL' END
            IN (SELECT json_array_elements_text($6::text::json))))
 ORDER BY t.id LIMIT $7::bigint
