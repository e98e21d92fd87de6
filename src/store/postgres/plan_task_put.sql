-- many
-- A check or stage is edited: what only those have.
-- 1 task, 2 check_kind, 3 accept_us, 4 progress_us, 5 needs, 6 goals.
UPDATE plan_task p SET check_kind = u.check_kind, accept_us = u.accept_us, progress_us = u.progress_us, needs = u.needs, goals = u.goals
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS u (task, check_kind, accept_us, progress_us, needs, goals)
 WHERE p.task = u.task
