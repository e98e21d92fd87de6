-- many
-- A group is met, or never can be.
-- 1 id, 2 verdict.
UPDATE dep_group g SET verdict = u.verdict FROM unnest($1::bigint[], $2::text[]) AS u (id, verdict) WHERE g.id = u.id
