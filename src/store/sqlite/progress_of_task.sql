-- What the holders of a task told, by attempt and in order.
-- 1 task, 2 the token of the attempt that goes on (0: none).
-- Answers token, at, percent, message, details.
SELECT token, at, percent, message, details FROM progress
 WHERE token IN (SELECT token FROM attempt WHERE task = ?1 UNION ALL SELECT ?2) ORDER BY token, n
