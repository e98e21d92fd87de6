-- many
-- The places that keys have now; they are locked.
-- 1 queue, 2 key, 3 places.
UPDATE lane SET places = ?3 WHERE queue = ?1 AND key = ?2
