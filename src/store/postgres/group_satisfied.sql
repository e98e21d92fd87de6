-- many
-- Fewer than all sufficed.
-- 1 id, 2 their names, JSON.
UPDATE dep_group g SET satisfied = u.names FROM unnest($1::bigint[], $2::text[]) AS u (id, names) WHERE g.id = u.id
