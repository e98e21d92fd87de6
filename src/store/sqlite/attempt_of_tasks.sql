-- The ended attempts of tasks, by task and in order.
-- 1 the first task, 2 the last.
-- An attempt row: task, number, token, worker, outcome, reason, message, stderr_tail, exit_code, signal, started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes.
SELECT task, number, token, worker, outcome, reason, message, stderr_tail, exit_code, signal, started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes
  FROM attempt WHERE task BETWEEN ?1 AND ?2 ORDER BY task, token
