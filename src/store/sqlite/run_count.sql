-- many
-- Tasks of a run have moved.
-- 1 id, 2 more open ones, 3 more held ones, 4 more failed ones.
-- A run row: id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing.
UPDATE run SET open = open + ?2, held = held + ?3, failed = failed + ?4 WHERE id = ?1
RETURNING id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing
