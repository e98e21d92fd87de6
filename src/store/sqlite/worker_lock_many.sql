-- many
-- Workers, locked.
-- 1 incarnation.
-- A worker row: incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state.
SELECT incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state
  FROM worker WHERE incarnation = ?1
