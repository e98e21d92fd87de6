-- many
-- The first blocks of a queue, locked; those that another program is giving out are passed over.
-- 1 queue, 2 priority and 3 id of the one that they come after, 4 how many.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT b.* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (q, p, i, k), LATERAL (
    SELECT id, queue, priority, retry, n, taken, created_at, payloads
      FROM block WHERE queue = u.q AND priority <= u.p AND (priority < u.p OR id > u.i)
     ORDER BY priority DESC, id LIMIT u.k FOR UPDATE SKIP LOCKED) AS b
