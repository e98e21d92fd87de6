-- A queue is not fair any more: its tasks are in the order of their age again.
-- 1 queue.
UPDATE task SET turn = 0 WHERE run = 0 AND queue = ?1 AND turn <> 0
