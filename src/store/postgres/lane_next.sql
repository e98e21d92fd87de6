-- many
-- The first tasks that wait for a place of their key, locked.
-- 1 queue, 2 key, 3 how many.
-- Answers id, queue, key.
SELECT t.* FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (q, k, n), LATERAL (
    SELECT id, queue, key FROM task WHERE queue = u.q AND key = u.k AND gate = 2
     ORDER BY priority DESC, id LIMIT u.n FOR UPDATE) AS t
