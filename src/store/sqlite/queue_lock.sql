-- many
-- Queues, locked by name.
-- 1 name.
-- A queue row: name, paused, tasks_max, concurrency_max, key_concurrency, rate_milli, rate_burst, fair, claim_ttl_us, retention_us,
-- retry, task_timeout_us, created_at, version.
SELECT name, paused, tasks_max, concurrency_max, key_concurrency, rate_milli, rate_burst, fair, claim_ttl_us, retention_us, retry,
       task_timeout_us, created_at, version
  FROM queue WHERE name = ?1
