-- many
-- A check or stage is edited: its task row.
-- 1 id, 2 payload (NULL: as it is), 3 key, 4 gate, 5 retry, 6 timeout_us, 7 priority, 8 groups_open, 9 reason.
UPDATE task SET payload = coalesce(u.payload, task.payload), key = u.key, gate = u.gate, retry = u.retry, timeout_us = u.timeout_us,
                priority = u.priority, groups_open = u.groups_open, reason = u.reason, version = task.version + 1
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
       AS u (id, payload, key, gate, retry, timeout_us, priority, groups_open, reason)
 WHERE task.id = u.id
