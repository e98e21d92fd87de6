-- many
-- What a queue's rate has left.
-- 1 name, 2 millionths of a claim, 3 when.
UPDATE queue SET bucket = ?2, bucket_at = ?3 WHERE name = ?1
