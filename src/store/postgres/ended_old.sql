-- Ended pieces that have been kept for as long as their queues ask.
-- 1 now, 2 how many.
-- Answers token, n.
SELECT e.token, e.n FROM queue q CROSS JOIN LATERAL (
    SELECT token, n FROM ended WHERE queue = q.name AND ended_at <= $1::bigint - q.retention_us
     ORDER BY ended_at LIMIT $2::bigint) AS e
 LIMIT $2::bigint
