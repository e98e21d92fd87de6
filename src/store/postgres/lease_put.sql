-- many
-- The end of leases and what their holders told of the progress.
-- 1 id, 2 expires_at, 3 percent, 4 progress.
UPDATE task SET expires_at = u.expires_at, percent = u.percent, progress = u.progress
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS u (id, expires_at, percent, progress)
 WHERE task.id = u.id
