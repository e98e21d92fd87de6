-- many
-- A group has more edges, or is met by a word.
-- 1 id, 2 total, 3 verdict.
UPDATE dep_group SET total = ?2, verdict = ?3 WHERE id = ?1
