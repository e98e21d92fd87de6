-- many
-- Heartbeats.
-- 1 incarnation, 2 state, 3 beat_at, 4 metrics ('': as they were).
UPDATE worker SET state = u.state, reason = '', beat_at = u.beat_at,
                  metrics = CASE u.metrics WHEN '' THEN worker.metrics ELSE u.metrics END
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS u (incarnation, state, beat_at, metrics)
 WHERE worker.incarnation = u.incarnation
