-- many
-- Keys that have no place any more; they are locked.
-- 1 queue, 2 key.
DELETE FROM lane WHERE queue = ?1 AND key = ?2
