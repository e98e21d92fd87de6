-- many
-- The tasks to be given out next, locked; those that another program is giving out are passed over.
-- 1 run, 2 queue, 3 how many.
-- A task row: id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate. Then payload.
SELECT t.* FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u (r, q, n), LATERAL (
    SELECT id, run, queue, name, state, reason, attempts, budget_from, retry, due_at, cancel, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at, priority, key, unique_key, turn, gate,
           payload
      FROM task WHERE run = u.r AND queue = u.q AND state = 'READY' AND gate < 2
     ORDER BY priority DESC, turn, id LIMIT u.n FOR UPDATE SKIP LOCKED) AS t
