-- many
-- A check or stage is edited: what only those have.
-- 1 task, 2 check_kind, 3 accept_us, 4 progress_us, 5 needs, 6 goals.
UPDATE plan_task SET check_kind = ?2, accept_us = ?3, progress_us = ?4, needs = ?5, goals = ?6 WHERE task = ?1
