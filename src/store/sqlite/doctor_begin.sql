-- The doctor reads whole tables in this transaction; SQLite plans for that by itself.
-- Answers nothing that is read.
SELECT ''
