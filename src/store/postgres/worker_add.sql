-- A new incarnation.
-- 1 incarnation, 2 name, 3 kind, 4 host, 5 boot, 6 site, 7 pid, 8 pid_start, 9 slots, 10 ttl_us, 11 beat_at and joined_at,
-- 12 run, 13 state, 14 labels, 15 metadata, 16 type, 17 address, 18 modes, 19 version.
INSERT INTO worker (incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state,
                    labels, metadata, type, address, modes, version)
VALUES ($1::bigint, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bigint, $8::bigint, $9::bigint, $10::bigint, $11::bigint, $11::bigint, $12::bigint, $13::text, $14::text, $15::text, $16::text, $17::text, $18::text, $19::text)
