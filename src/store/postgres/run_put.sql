-- A run moves.
-- 1 id, 2 state, 3 reason, 4 detail, 5 ended_at.
UPDATE run SET state = $2::text, reason = $3::text, detail = $4::text, ended_at = $5::bigint WHERE id = $1::bigint
