-- many
-- A stage was not taken once more.
-- 1 task, 2 refusals in a row.
UPDATE plan_task SET refusals = ?2 WHERE task = ?1
