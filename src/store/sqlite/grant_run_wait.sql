-- The same of one run, that is waited for.
-- 1 id.
-- Answers id, state, max_parallel, held.
SELECT id, state, max_parallel, held FROM run WHERE id = ?1
