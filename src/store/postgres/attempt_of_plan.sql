-- many
-- The ended attempts of tasks.
-- 1 task.
-- An attempt row: task, number, token, worker, outcome, reason, message, stderr_tail, exit_code, signal, started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes.
SELECT task, number, token, worker, outcome, reason, message, stderr_tail, exit_code, signal, started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes
  FROM attempt WHERE task = ANY ($1::bigint[]) ORDER BY task, token
