-- Ended pieces that have been kept for as long as their queues ask.
-- 1 now, 2 how many.
-- Answers token, n.
SELECT e.token, e.n FROM queue q CROSS JOIN ended e
 WHERE e.queue = q.name AND e.ended_at <= ?1 - q.retention_us LIMIT ?2
