-- Keep a reply under a key.
-- 1 key, 2 method, 3 digest, 4 reply, 5 at.
INSERT INTO idempotency (key, method, digest, reply, at)
    VALUES ($1::text, $2::text, $3::text, $4::text, $5::bigint)
    ON CONFLICT (key, method) DO NOTHING
