-- Leases of stages that runners were called for, and that are to be cancelled.
-- 1 tokens after this one, 2 how many.
-- Answers task, token, run, worker, its name and address.
SELECT t.id, t.token, t.run, t.worker, coalesce(w.name, ''), coalesce(w.address, '')
  FROM task t LEFT JOIN worker w ON w.incarnation = t.worker
 WHERE t.cancel = 1 AND t.gate = 3 AND t.state IN ('LEASED', 'RUNNING') AND t.token > $1::bigint ORDER BY t.token LIMIT $2::bigint
