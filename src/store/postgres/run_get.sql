-- A run.
-- 1 id.
-- A run row, then metadata: id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing.
SELECT id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing, metadata
  FROM run WHERE id = $1::bigint
