-- Keep a reply under a key.
-- 1 key, 2 method, 3 digest, 4 reply, 5 at.
INSERT INTO idempotency (key, method, digest, reply, at)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (key, method) DO NOTHING
