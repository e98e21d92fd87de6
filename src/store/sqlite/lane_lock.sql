-- many
-- The places that keys have, locked; a key that had none gets a row.
-- 1 queue, 2 key.
-- Answers queue, key, places.
INSERT INTO lane (queue, key, places) VALUES (?1, ?2, 0)
    ON CONFLICT (queue, key) DO UPDATE SET places = places RETURNING queue, key, places
