-- What a group waits for, the unfinished first.
-- 1 group, 2 how many.
-- Answers name, state.
SELECT t.name, t.state FROM dep_edge e JOIN task t ON t.id = e.task WHERE e.grp = $1::bigint
 ORDER BY t.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED'), t.id LIMIT $2::bigint
