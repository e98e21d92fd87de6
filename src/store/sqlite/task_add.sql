-- many
-- New tasks: id, run, queue, name, state, reason, priority, retry, due_at, groups_open, timeout_us, ready_at, created_at, turn, gate, key, unique_key, payload.
INSERT INTO task (id, run, queue, name, state, reason, priority, retry, due_at, groups_open, timeout_us, ready_at,
                  created_at, turn, gate, key, unique_key, payload)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
