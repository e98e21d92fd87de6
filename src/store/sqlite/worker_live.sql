-- The workers that are not over.
-- A worker row: incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state, busy.
SELECT incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state,
       (SELECT count(*) FROM task t WHERE t.worker = incarnation AND t.state IN ('LEASED', 'RUNNING'))
       + (SELECT coalesce(sum(n), 0) FROM piece WHERE worker = incarnation)
  FROM worker WHERE state NOT IN ('LOST', 'GONE') ORDER BY incarnation
