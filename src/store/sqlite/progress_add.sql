-- many
-- What the holders of leases told, each lease once: behind what they told before.
-- 1 token, 2 at, 3 percent (-1: not told), 4 message, 5 details.
INSERT INTO progress (token, n, at, percent, message, details)
SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5 FROM progress WHERE token = ?1
