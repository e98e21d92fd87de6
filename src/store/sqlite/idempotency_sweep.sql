-- Forget replies that were kept before a time.
-- 1 that time, 2 at most so many.
DELETE FROM idempotency WHERE (key, method) IN
    (SELECT key, method FROM idempotency WHERE at < ?1 ORDER BY at LIMIT ?2)
