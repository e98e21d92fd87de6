-- The tasks of a queue that may have a place of their key, or wait for one, locked: none of them ends while they are judged,
-- and places are locked after tasks. A statement of its own: the next one sees what was committed while this one waited.
-- 1 queue.
-- Answers how many; here, where the transaction is the lock, none.
SELECT 0 WHERE ?1 IS NOT NULL
