-- Workers past their time to live that were not taken out: is a program still carrying runs?
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(name), '') FROM worker WHERE kind <> 'guest' AND state NOT IN ('LOST', 'GONE') AND beat_at + ttl_us < ?1
