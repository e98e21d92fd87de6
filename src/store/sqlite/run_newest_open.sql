-- The newest run of a workflow that has not ended.
-- A run row: id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing.
SELECT id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing
  FROM run WHERE state IN ('RUNNING', 'CANCELLING') AND version > 0 ORDER BY id DESC LIMIT 1
