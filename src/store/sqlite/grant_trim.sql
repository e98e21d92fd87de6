-- many
-- Of the traces of a stage the newest are kept.
-- 1 task, 2 how many.
DELETE FROM dispatch
 WHERE task = ?1 AND token <= (SELECT token FROM dispatch WHERE task = ?1 ORDER BY token DESC LIMIT 1 OFFSET ?2)
