-- many
-- A task that nobody holds (any more).
-- 1 id, 2 state, 3 reason, 4 detail, 5 attempts, 6 budget_from, 7 due_at, 8 cancel, 9 last_token (0: as it was),
-- 10 ready_at, 11 ended_at, 12 groups_open, 13 gate.
UPDATE task SET state = ?2, reason = ?3, detail = ?4, attempts = ?5, budget_from = ?6, due_at = ?7, cancel = ?8,
                last_token = iif(?9 = 0, last_token, ?9), ready_at = ?10, ended_at = ?11, groups_open = ?12, gate = ?13,
                token = 0, worker = 0, expires_at = 0, version = version + 1
 WHERE id = ?1
