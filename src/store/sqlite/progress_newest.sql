-- many
-- What was told last of attempts that go on; none where nothing was.
-- 1 token.
-- Answers token, its number, at.
SELECT token, n, at FROM progress WHERE token = ?1 ORDER BY n DESC LIMIT 1
