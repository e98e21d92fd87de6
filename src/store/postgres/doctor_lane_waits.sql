-- Tasks that wait for a place of their key although there is one, or although they are not READY.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(t.id AS TEXT) AS x FROM task t JOIN queue q ON q.name = t.queue
     WHERE t.gate = 2 AND (t.state <> 'READY' OR q.key_concurrency > coalesce(
               (SELECT l.places FROM lane l WHERE l.queue = t.queue AND l.key = t.key), 0))) AS broken
