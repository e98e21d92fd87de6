-- A worker moves or beats.
-- 1 incarnation, 2 state, 3 reason, 4 beat_at, 5 ended_at.
UPDATE worker SET state = $2::text, reason = $3::text, beat_at = $4::bigint, ended_at = $5::bigint
 WHERE incarnation = $1::bigint
