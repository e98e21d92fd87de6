-- Give a duty up.
-- 1 name, 2 holder.
UPDATE duty SET expires_at = 0 WHERE name = $1::text AND holder = $2::text
