-- many
-- Keys that have no place any more; they are locked.
-- 1 queue, 2 key.
DELETE FROM lane USING unnest($1::text[], $2::text[]) AS u (q, k) WHERE lane.queue = u.q AND lane.key = u.k
