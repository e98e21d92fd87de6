-- The reply that is kept under a key.
-- 1 key, 2 method.
-- Answers digest, reply.
SELECT digest, reply FROM idempotency WHERE key = $1::text AND method = $2::text
