-- many
-- Unique keys that are taken.
-- 1 queue, 2 unique key, 3 now.
-- Answers queue, unique key, task.
SELECT queue, unique_key, task FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (q, k, now)
  JOIN uniqueness ON queue = u.q AND unique_key = u.k AND (live = 1 OR until > u.now)
