-- Attempts that end before they start.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(token AS TEXT) AS x FROM attempt WHERE ended_at < started_at OR run_us < 0 OR queue_wait_us < 0
     UNION ALL
    SELECT cast(token AS TEXT) FROM ended WHERE ended_at < leased_at) AS broken
