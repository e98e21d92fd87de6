-- The run that was made by a request.
-- 1 request_id.
-- Answers id, workflow, metadata.
SELECT id, workflow, metadata FROM run WHERE request_id = $1::text AND request_id <> ''
