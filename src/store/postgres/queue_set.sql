-- Settings of a queue, without paused and tasks_max.
-- 1 name, 2 concurrency_max, 3 key_concurrency, 4 rate_milli, 5 rate_burst, 6 fair, 7 claim_ttl_us, 8 retention_us, 9 retry,
-- 10 task_timeout_us.
UPDATE queue SET concurrency_max = $2::bigint, key_concurrency = $3::bigint, rate_milli = $4::bigint, rate_burst = $5::bigint, fair = $6::bigint, claim_ttl_us = $7::bigint,
                 retention_us = $8::bigint, retry = $9::text, task_timeout_us = $10::bigint, version = version + 1
 WHERE name = $1::text
