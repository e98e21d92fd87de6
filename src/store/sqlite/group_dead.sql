-- many
-- Tasks that have a group which can never be met.
-- 1 task.
-- Answers the task, and one of those that it waited for in vain, in words.
SELECT g.task, coalesce(min(t.name || ' is ' || t.state), '')
  FROM dep_group g LEFT JOIN dep_edge e ON e.grp = g.id
  LEFT JOIN task t ON t.id = e.task AND t.state IN ('FAILED', 'CANCELLED', 'SKIPPED')
 WHERE g.task = ?1 AND g.verdict = 'IMPOSSIBLE' GROUP BY g.task
