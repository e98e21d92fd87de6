-- many
-- The places that keys have now; they are locked.
-- 1 queue, 2 key, 3 places.
UPDATE lane SET places = u.n FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (q, k, n)
 WHERE lane.queue = u.q AND lane.key = u.k
