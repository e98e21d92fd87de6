-- many
-- A check or stage is edited: its task row.
-- 1 id, 2 payload (NULL: as it is), 3 key, 4 gate, 5 retry, 6 timeout_us, 7 priority, 8 groups_open, 9 reason.
UPDATE task SET payload = coalesce(?2, payload), key = ?3, gate = ?4, retry = ?5, timeout_us = ?6, priority = ?7, groups_open = ?8,
                reason = ?9,
                version = version + 1
 WHERE id = ?1
