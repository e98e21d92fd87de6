-- Runs, the newest first.
-- 1 state (empty: any), 2 workflow (empty: any), 3 ids below this one (0: all), 4 how many.
-- A run row: id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing.
SELECT id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing
  FROM run WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR workflow = ?2) AND (?3 = 0 OR id < ?3)
 ORDER BY id DESC LIMIT ?4
