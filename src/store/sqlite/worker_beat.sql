-- many
-- Heartbeats.
-- 1 incarnation, 2 state, 3 beat_at, 4 metrics ('': as they were).
UPDATE worker SET state = ?2, reason = '', beat_at = ?3, metrics = iif(?4 = '', metrics, ?4) WHERE incarnation = ?1
