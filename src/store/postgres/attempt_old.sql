-- Attempts of queues that have been kept for as long as their queues ask.
-- 1 now, 2 how many.
-- Answers token.
SELECT a.token FROM queue q CROSS JOIN LATERAL (
    SELECT token FROM attempt WHERE queue = q.name AND queue <> '' AND ended_at <= $1::bigint - q.retention_us
     ORDER BY ended_at LIMIT $2::bigint) AS a
 LIMIT $2::bigint
