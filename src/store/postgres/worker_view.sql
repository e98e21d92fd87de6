-- A worker to look at.
-- 1 incarnation.
-- A worker row: incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state, busy; then reason, ended_at, labels, metadata, metrics, type, address, modes, version.
SELECT incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state,
       (SELECT count(*) FROM task t WHERE t.worker = w.incarnation AND t.state IN ('LEASED', 'RUNNING'))
       + (SELECT coalesce(sum(n), 0)::bigint FROM piece WHERE worker = w.incarnation),
       reason, ended_at, labels, metadata, metrics, type, address, modes, version
  FROM worker w WHERE incarnation = $1::bigint
