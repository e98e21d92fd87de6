-- many
-- What was told last of attempts that go on; none where nothing was.
-- 1 token.
-- Answers token, its number, at.
SELECT p.token, p.n, p.at FROM unnest($1::bigint[]) AS u (token), LATERAL (
    SELECT token, n, at FROM progress WHERE token = u.token ORDER BY n DESC LIMIT 1) AS p
