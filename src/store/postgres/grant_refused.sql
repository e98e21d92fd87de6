-- many
-- A stage was not taken once more.
-- 1 task, 2 refusals in a row.
UPDATE plan_task SET refusals = u.n FROM unnest($1::bigint[], $2::bigint[]) AS u (id, n) WHERE task = u.id
