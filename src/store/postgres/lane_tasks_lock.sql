-- The tasks of a queue that may have a place of their key, or wait for one, locked: none of them ends while they are judged,
-- and places are locked after tasks. A statement of its own: the next one sees what was committed while this one waited.
-- 1 queue.
-- Answers how many.
SELECT count(*) FROM (
    SELECT id FROM task WHERE run = 0 AND queue = $1::text AND key <> ''
       AND (state IN ('READY', 'LEASED', 'RUNNING') OR (state = 'DELAYED' AND gate = 1)) ORDER BY id FOR UPDATE) AS locked
