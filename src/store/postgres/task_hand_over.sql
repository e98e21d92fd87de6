-- many
-- A lease goes over to the next incarnation of its holder.
-- 1 id, 2 token, 3 incarnation.
UPDATE task SET worker = u.worker
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, token, worker)
 WHERE task.id = u.id AND task.token = u.token
