-- many
-- The runners of a type that are not over, and what they hold.
-- 1 type.
-- Answers incarnation, name, type, address, modes, labels, slots, state, beat_at, ttl_us, granted, busy.
SELECT incarnation, name, type, address, modes, labels, slots, state, beat_at, ttl_us, granted,
       (SELECT count(*) FROM task t WHERE t.worker = w.incarnation AND t.state IN ('LEASED', 'RUNNING'))
       + (SELECT coalesce(sum(n), 0)::bigint FROM piece WHERE worker = w.incarnation)
  FROM worker w WHERE type = ANY ($1::text[]) AND type <> '' AND state NOT IN ('LOST', 'GONE') ORDER BY type, incarnation
