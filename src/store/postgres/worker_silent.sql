-- Workers whose heartbeat is late, or stayed away for their time to live.
-- 1 now.
-- A worker row: incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state, busy.
SELECT incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state,
       (SELECT count(*) FROM task t WHERE t.worker = w.incarnation AND t.state IN ('LEASED', 'RUNNING'))
       + (SELECT coalesce(sum(n), 0)::bigint FROM piece WHERE worker = w.incarnation)
  FROM worker w
 WHERE state NOT IN ('LOST', 'GONE') AND kind <> 'guest' AND $1::bigint - beat_at >= ttl_us / 5 * 2
   AND (state = 'READY' OR $1::bigint - beat_at >= ttl_us)
 ORDER BY incarnation
