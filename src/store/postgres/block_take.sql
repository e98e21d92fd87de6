-- many
-- More of its first tasks are taken.
-- 1 id, 2 taken.
UPDATE block SET taken = u.taken FROM unnest($1::bigint[], $2::bigint[]) AS u (id, taken) WHERE block.id = u.id
