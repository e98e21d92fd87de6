-- many
-- Where the ended pieces begin in which tokens may have been used.
-- 1 token.
-- Answers token.
SELECT DISTINCT e.token FROM unnest($1::bigint[]) AS u (t), LATERAL (
    SELECT token FROM ended WHERE token <= u.t ORDER BY token DESC LIMIT 1) AS e
