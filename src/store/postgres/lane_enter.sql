-- many
-- Where READY tasks stand among those of other keys, and of their own.
-- 1 id, 2 turn, 3 gate.
UPDATE task SET turn = u.turn, gate = u.gate
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, turn, gate) WHERE task.id = u.id
