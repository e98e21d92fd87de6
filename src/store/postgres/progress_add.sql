-- many
-- What the holders of leases told, each lease once: behind what they told before.
-- 1 token, 2 at, 3 percent (-1: not told), 4 message, 5 details.
INSERT INTO progress (token, n, at, percent, message, details)
SELECT u.token, coalesce((SELECT max(p.n) FROM progress p WHERE p.token = u.token), 0) + 1, u.at, u.percent, u.message, u.details
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS u (token, at, percent, message, details)
