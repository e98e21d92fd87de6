-- many
-- Groups that wanted names which will never be written.
-- 1 id, 2 how many.
-- Answers id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest.
UPDATE dep_group SET missing = missing + u.n FROM unnest($1::bigint[], $2::bigint[]) AS u (grp, n) WHERE dep_group.id = u.grp
RETURNING id, task, rule, need, total, done, succeeded, verdict, role, missing, cancel_rest
