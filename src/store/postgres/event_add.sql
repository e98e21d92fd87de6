-- many
-- Changes, in order.
-- 1 at, 2 run, 3 task, 4 kind, 5 data.
-- Answers seq.
INSERT INTO event (at, run, task, kind, data)
SELECT at, run, task, kind, data
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) WITH ORDINALITY AS u (at, run, task, kind, data, place) ORDER BY place
RETURNING seq
