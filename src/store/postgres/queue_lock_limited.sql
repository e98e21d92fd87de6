-- many
-- Of these queues those whose leases are limited, locked by name.
-- 1 name.
-- Answers name.
SELECT name FROM queue WHERE name = ANY ($1::text[]) AND paused = 0 AND (concurrency_max <> 0 OR rate_milli <> 0) ORDER BY name FOR UPDATE
