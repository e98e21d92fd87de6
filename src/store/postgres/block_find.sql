-- many
-- Blocks that have tasks of a range, locked by id.
-- 1 its first task, 2 its last.
-- A block row: id, queue, priority, retry, n, taken, created_at, payloads.
SELECT b.* FROM unnest($1::bigint[], $2::bigint[]) AS u (f, l), LATERAL (
    SELECT id, queue, priority, retry, n, taken, created_at, payloads
      FROM block WHERE id >= coalesce((SELECT max(id) FROM block WHERE id <= u.f), u.f) AND id + taken <= u.l AND id + n > u.f AND id <= u.l
     ORDER BY id FOR UPDATE) AS b
