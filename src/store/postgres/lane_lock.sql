-- many
-- The places that keys have, locked; a key that had none gets a row.
-- 1 queue, 2 key.
-- Answers queue, key, places.
INSERT INTO lane (queue, key, places)
SELECT q, k, 0 FROM unnest($1::text[], $2::text[]) AS u (q, k) ORDER BY q, k
    ON CONFLICT (queue, key) DO UPDATE SET places = lane.places RETURNING queue, key, places
