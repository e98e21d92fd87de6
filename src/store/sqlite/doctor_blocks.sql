-- Blocks and pieces that cannot be, and tasks that stand twice: each is in one of them or has a row of its own.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(id AS TEXT) AS x FROM block WHERE n > 128 OR taken < 0 OR taken >= n
     UNION ALL
    SELECT cast(task AS TEXT) FROM piece WHERE n < 1 OR n > 128 OR token < 1
     UNION ALL
    SELECT cast(task AS TEXT) FROM ended WHERE n < 1 OR n > 128 OR token < 1
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM block b JOIN task t ON t.id >= b.id + b.taken AND t.id < b.id + b.n
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM piece p JOIN task t ON t.id >= p.task AND t.id < p.task + p.n
     UNION ALL
    SELECT cast(p.task AS TEXT) FROM block b JOIN piece p ON p.task > b.id - 128 AND p.task < b.id + b.n AND p.task + p.n > b.id + b.taken
     UNION ALL
    SELECT cast(p.task AS TEXT) FROM piece p JOIN piece q ON q.task > p.task AND q.task < p.task + p.n
     UNION ALL
    SELECT cast(p.task AS TEXT) FROM piece p JOIN ended e ON e.task > p.task - 128 AND e.task < p.task + p.n AND e.task + e.n > p.task
     UNION ALL
    SELECT cast(e.task AS TEXT) FROM block b JOIN ended e ON e.task > b.id - 128 AND e.task < b.id + b.n AND e.task + e.n > b.id + b.taken
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM ended e JOIN task t ON t.id >= e.task AND t.id < e.task + e.n) AS broken
