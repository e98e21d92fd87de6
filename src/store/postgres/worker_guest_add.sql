-- A guest claims: it is made, or was there already and is seen again.
-- 1 incarnation, 2 name, 3 slots, 4 ttl_us, 5 now, 6 state.
-- Answers incarnation.
INSERT INTO worker (incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, state)
VALUES ($1::bigint, $2::text, 'guest', '', '', '', 0, 0, $3::bigint, $4::bigint, $5::bigint, $5::bigint, $6::text)
    ON CONFLICT (name) WHERE kind = 'guest' AND state NOT IN ('LOST', 'GONE') DO UPDATE SET beat_at = excluded.beat_at
RETURNING incarnation
