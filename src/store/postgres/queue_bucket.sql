-- many
-- What a queue's rate has left.
-- 1 name, 2 millionths of a claim, 3 when.
UPDATE queue SET bucket = u.bucket, bucket_at = u.at
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u (name, bucket, at) WHERE queue.name = u.name
