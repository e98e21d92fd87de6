-- many
-- The newest grant of a runner.
-- 1 incarnation, 2 token.
UPDATE worker SET granted = u.token FROM unnest($1::bigint[], $2::bigint[]) AS u (id, token) WHERE incarnation = u.id
