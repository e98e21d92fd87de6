-- many
-- A check or stage is edited: its task row.
-- 1 id, 2 payload, 3 key, 4 gate, 5 retry, 6 timeout_us, 7 priority, 8 groups_open.
UPDATE task SET payload = u.payload, key = u.key, gate = u.gate, retry = u.retry, timeout_us = u.timeout_us,
                priority = u.priority, groups_open = u.groups_open, version = task.version + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
       AS u (id, payload, key, gate, retry, timeout_us, priority, groups_open)
 WHERE task.id = u.id
