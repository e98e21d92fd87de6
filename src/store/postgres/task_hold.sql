-- many
-- A worker takes a lease and starts.
-- 1 id, 2 state, 3 reason, 4 attempts, 5 token, 6 worker, 7 leased_at, 8 started_at, 9 deadline_at, 10 expires_at.
UPDATE task SET state = u.state, reason = u.reason, attempts = u.attempts, token = u.token, worker = u.worker,
                leased_at = u.leased_at, started_at = u.started_at, deadline_at = u.deadline_at, expires_at = u.expires_at, percent = -1,
                progress = '', detail = '', version = task.version + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
       AS u (id, state, reason, attempts, token, worker, leased_at, started_at, deadline_at, expires_at)
 WHERE task.id = u.id
