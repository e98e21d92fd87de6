-- Checks that miscount their results or were not concluded, and stages that await nothing.
-- Answers how many, and one of them as text.
SELECT count(*), coalesce(min(x), '') FROM (
    SELECT cast(p.task AS TEXT) AS x FROM plan_task p
      LEFT JOIN (SELECT task, count(*) AS results, sum(CASE WHEN code = '' AND message = '' THEN 0 ELSE 1 END) AS failed,
                        max(final) AS final FROM check_result GROUP BY task) c ON c.task = p.task
     WHERE coalesce(c.results, 0) <> p.results OR coalesce(c.failed, 0) <> p.results_failed OR coalesce(c.final, 0) <> p.final
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM task t JOIN plan_task p ON p.task = t.id WHERE t.gate = 5 AND t.state = 'READY' AND p.final = 1
     UNION ALL
    SELECT cast(t.id AS TEXT) FROM task t WHERE t.run <> 0 AND t.state = 'AWAITING' AND t.groups_open = 0) AS broken
