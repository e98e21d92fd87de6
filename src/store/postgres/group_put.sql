-- many
-- A group has counted ends, and may be met, or can never be.
-- 1 id, 2 done, 3 succeeded, 4 verdict.
UPDATE dep_group g SET done = u.done, succeeded = u.succeeded, verdict = u.verdict
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS u (id, done, succeeded, verdict)
 WHERE g.id = u.id
