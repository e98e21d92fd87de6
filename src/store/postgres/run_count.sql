-- many
-- Tasks of a run have moved.
-- 1 id, 2 more open ones, 3 more held ones, 4 more failed ones.
-- A run row: id, workflow, version, state, reason, detail, params, dir, max_parallel, tasks, open, held, failed, created_at, ended_at, growing.
UPDATE run SET open = run.open + u.open, held = run.held + u.held, failed = run.failed + u.failed
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (id, open, held, failed)
 WHERE run.id = u.id
RETURNING run.id, run.workflow, run.version, run.state, run.reason, run.detail, run.params, run.dir, run.max_parallel, run.tasks, run.open, run.held, run.failed, run.created_at, run.ended_at, run.growing
