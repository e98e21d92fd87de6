-- many
-- A group has more edges, or is met by a word.
-- 1 id, 2 total, 3 verdict.
UPDATE dep_group g SET total = u.total, verdict = u.verdict FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u (id, total, verdict) WHERE g.id = u.id
