-- Attempts of queues that have been kept for as long as their queues ask.
-- 1 now, 2 how many.
-- Answers token.
SELECT a.token FROM queue q CROSS JOIN attempt a ON a.queue = q.name AND a.queue <> '' AND a.ended_at <= ?1 - q.retention_us LIMIT ?2
