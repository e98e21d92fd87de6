-- many
-- Of the traces of a stage the newest are kept.
-- 1 task, 2 how many.
DELETE FROM dispatch USING unnest($1::bigint[], $2::bigint[]) AS u (task, newest)
 WHERE dispatch.task = u.task
   AND token <= (SELECT d.token FROM dispatch d WHERE d.task = u.task ORDER BY d.token DESC LIMIT 1 OFFSET u.newest)
