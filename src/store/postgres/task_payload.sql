-- many
-- Another payload.
-- 1 id, 2 payload.
UPDATE task SET payload = u.payload FROM unnest($1::bigint[], $2::text[]) AS u (id, payload) WHERE task.id = u.id
