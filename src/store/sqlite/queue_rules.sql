-- many
-- What decides about tasks of queues.
-- 1 name.
-- Answers name, paused, tasks_max, concurrency_max, key_concurrency, rate_milli, rate_burst, fair, retry, task_timeout_us, bucket, bucket_at, claim_ttl_us, open tasks, held tasks.
SELECT name, paused, tasks_max, concurrency_max, key_concurrency, rate_milli, rate_burst, fair, retry, task_timeout_us, bucket, bucket_at, claim_ttl_us,
       (SELECT coalesce(sum(n), 0) FROM tally WHERE run = 0 AND queue = q.name AND state IN ('BLOCKED', 'DELAYED', 'READY', 'LEASED', 'RUNNING')),
       (SELECT coalesce(sum(n), 0) FROM tally WHERE run = 0 AND queue = q.name AND state IN ('LEASED', 'RUNNING'))
  FROM queue q WHERE name = ?1
