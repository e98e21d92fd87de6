-- many
-- The holder of a task starts the attempt.
-- 1 id, 2 state, 3 reason, 4 attempts, 5 started_at, 6 expires_at.
UPDATE task SET state = u.state, reason = u.reason, attempts = u.attempts, started_at = u.started_at,
                expires_at = u.expires_at, version = version + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
       AS u (id, state, reason, attempts, started_at, expires_at)
 WHERE task.id = u.id
