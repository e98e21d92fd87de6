-- Registrations of workers come one program after the other, until the transaction ends. A statement of its own: the next one
-- sees what was committed while this one waited.
SELECT 1
