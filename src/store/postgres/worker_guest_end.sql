-- Guests that have not claimed for long, and hold nothing, are gone.
-- 1 when they claimed last, 2 now, 3 how many.
UPDATE worker SET state = 'GONE', reason = 'it claims no more', ended_at = $2::bigint
 WHERE kind = 'guest' AND beat_at <= $1::bigint AND incarnation IN (
    SELECT w.incarnation FROM worker w
     WHERE w.kind = 'guest' AND w.state NOT IN ('LOST', 'GONE') AND w.beat_at <= $1::bigint
       AND NOT EXISTS (SELECT 1 FROM task t WHERE t.worker = w.incarnation AND t.state IN ('LEASED', 'RUNNING'))
       AND NOT EXISTS (SELECT 1 FROM piece p WHERE p.worker = w.incarnation)
     LIMIT $3::bigint)
