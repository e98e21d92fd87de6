-- A new incarnation.
-- 1 incarnation, 2 name, 3 kind, 4 host, 5 boot, 6 site, 7 pid, 8 pid_start, 9 slots, 10 ttl_us, 11 beat_at and joined_at,
-- 12 run, 13 state, 14 labels, 15 metadata, 16 type, 17 address, 18 modes, 19 version.
INSERT INTO worker (incarnation, name, kind, host, boot, site, pid, pid_start, slots, ttl_us, beat_at, joined_at, run, state,
                    labels, metadata, type, address, modes, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
