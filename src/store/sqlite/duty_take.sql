-- Take a duty that nobody holds, or renew one's own.
-- 1 name, 2 holder, 3 token of a new holder, 4 now, 5 expires_at.
-- Answers token, expires_at; no row where another one holds it.
INSERT INTO duty (name, holder, token, expires_at) VALUES (?1, ?2, ?3, ?5)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
        token = CASE WHEN duty.holder = excluded.holder AND duty.expires_at > ?4 THEN duty.token ELSE excluded.token END
    WHERE duty.holder = excluded.holder OR duty.expires_at <= ?4
    RETURNING token, expires_at
