-- many
-- Pieces that have tasks of a range, locked by id.
-- 1 its first task, 2 its last.
-- A piece row: task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads.
SELECT p.* FROM unnest($1::bigint[], $2::bigint[]) AS u (f, l), LATERAL (
    SELECT task, n, token, worker, queue, priority, retry, created_at, leased_at, expires_at, payloads
      FROM piece WHERE task >= coalesce((SELECT max(task) FROM piece WHERE task <= u.f), u.f) AND task <= u.l AND task + n > u.f
     ORDER BY task FOR UPDATE) AS p
