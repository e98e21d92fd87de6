-- many
-- A task that nobody holds (any more).
-- 1 id, 2 state, 3 reason, 4 detail, 5 attempts, 6 budget_from, 7 due_at, 8 cancel, 9 last_token (0: as it was),
-- 10 ready_at, 11 ended_at, 12 groups_open, 13 gate.
UPDATE task SET state = u.state, reason = u.reason, detail = u.detail, attempts = u.attempts,
                budget_from = u.budget_from, due_at = u.due_at, cancel = u.cancel,
                last_token = CASE u.last_token WHEN 0 THEN task.last_token ELSE u.last_token END,
                ready_at = u.ready_at, ended_at = u.ended_at,
                groups_open = u.groups_open, gate = u.gate, token = 0, worker = 0, expires_at = 0, version = task.version + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
       AS u (id, state, reason, detail, attempts, budget_from, due_at, cancel, last_token, ready_at, ended_at,
             groups_open, gate)
 WHERE task.id = u.id
