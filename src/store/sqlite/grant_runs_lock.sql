-- many
-- Runs that stages are to be given out of, locked; those that somebody else is writing are passed over.
-- 1 id.
-- Answers id, state, max_parallel, held.
SELECT id, state, max_parallel, held FROM run WHERE id = ?1
