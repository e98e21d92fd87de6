-- many
-- Ended attempts.
INSERT INTO attempt (token, task, run, queue, number, worker, outcome, reason, message, exit_code, signal, leased_at,
                     started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes, stderr_tail, digest, result)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
