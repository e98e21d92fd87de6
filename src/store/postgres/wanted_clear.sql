-- Nobody will write it any more.
-- 1 run.
DELETE FROM dep_wanted WHERE run = $1::bigint
