-- Settings of a queue, without paused and tasks_max.
-- 1 name, 2 concurrency_max, 3 key_concurrency, 4 rate_milli, 5 rate_burst, 6 fair, 7 claim_ttl_us, 8 retention_us, 9 retry,
-- 10 task_timeout_us.
UPDATE queue SET concurrency_max = ?2, key_concurrency = ?3, rate_milli = ?4, rate_burst = ?5, fair = ?6, claim_ttl_us = ?7,
                 retention_us = ?8, retry = ?9, task_timeout_us = ?10, version = version + 1
 WHERE name = ?1
