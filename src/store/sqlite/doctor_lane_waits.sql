-- Tasks that wait for a place of their key although there is one, or although they are not READY.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t JOIN queue q ON q.name = t.queue LEFT JOIN lane l ON l.queue = t.queue AND l.key = t.key
     WHERE t.gate = 2 AND (t.state <> 'READY' OR coalesce(l.places, 0) < CASE q.key_concurrency WHEN 0 THEN 1 ELSE q.key_concurrency END)) AS broken
