-- Held tasks past their deadline whose worker does not run here.
-- 1 now, 2 how many.
-- Answers id, token.
SELECT id, token FROM (
    SELECT t.id, t.token FROM task t JOIN worker w ON w.incarnation = t.worker
     WHERE t.state IN ('LEASED', 'RUNNING') AND t.deadline_at <> 0 AND t.deadline_at <= ?1 AND w.kind <> 'local'
     ORDER BY t.deadline_at LIMIT ?2) AS late
 ORDER BY id
