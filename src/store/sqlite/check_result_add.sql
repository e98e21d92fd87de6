-- many
-- Results of checks: id, run, task, owner, token, data, code, message, at, final.
INSERT INTO check_result (id, run, task, owner, token, data, code, message, at, final)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
