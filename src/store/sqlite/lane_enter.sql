-- many
-- Where READY tasks stand among those of other keys, and of their own.
-- 1 id, 2 turn, 3 gate.
UPDATE task SET turn = ?2, gate = ?3 WHERE id = ?1
