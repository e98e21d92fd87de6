-- The newest grants of a stage, and how they ended.
-- 1 task, 2 how many.
-- Answers token, worker, its name, at, candidates; of the attempt (NULL: it goes on) outcome, reason, message, ended_at.
SELECT d.token, d.worker, coalesce(w.name, ''), d.at, d.candidates, a.outcome, a.reason, a.message, a.ended_at
  FROM dispatch d LEFT JOIN worker w ON w.incarnation = d.worker LEFT JOIN attempt a ON a.token = d.token
 WHERE d.task = ?1 ORDER BY d.token DESC LIMIT ?2
