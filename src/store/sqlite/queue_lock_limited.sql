-- many
-- Of these queues those whose leases are limited, locked by name.
-- 1 name.
-- Answers name.
SELECT name FROM queue WHERE name = ?1 AND paused = 0 AND (concurrency_max <> 0 OR rate_milli <> 0)
