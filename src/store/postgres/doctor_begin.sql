-- The doctor reads whole tables in this transaction: they are joined by hashes, and not row by row as everywhere else.
-- Answers nothing that is read.
SELECT set_config('enable_seqscan', 'on', true) || set_config('enable_hashjoin', 'on', true)
