-- No key of a queue has places.
-- 1 queue.
DELETE FROM lane WHERE queue = $1::text
