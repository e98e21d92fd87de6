-- many
-- Tasks have ended: their unique keys are free once their time is over.
-- 1 queue, 2 unique key, 3 task.
UPDATE uniqueness SET live = 0 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (q, k, t)
 WHERE queue = u.q AND unique_key = u.k AND task = u.t
