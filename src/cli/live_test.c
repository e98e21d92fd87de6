/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live.h"

#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/test.h"
#include "cli/text.h"

#define NOW (1000 * CLOCK_S)

static json_t *json_of(struct str text)
{
    json_t *v = json_loadb(text.p, text.n, 0, NULL);

    assert_non_null(v);
    return v;
}

/* A run of tasks t1 … tn that all wait, with ids from 101 on. */
static void begin(struct live *l, size_t n, bool with_tasks)
{
    json_t *tasks = json_array();
    json_t *run = json_pack("{s:s, s:s, s:{s:I}, s:o}", "id", "12", "workflow", "etl", "counts",
                            "blocked", (json_int_t)n, "tasks", tasks);

    for (size_t i = 1; i <= n && with_tasks; i++)
        json_array_append_new(
            tasks, json_pack("{s:o, s:o, s:s, s:[]}", "id", json_sprintf("%zu", 100 + i), "name",
                             json_sprintf("t%zu", i), "state", "BLOCKED", "attempts"));
    live_init(l, run, NULL, false, true, NOW, 0);
    json_decref(run);
}

static void event(struct live *l, size_t task, const char *state, const char *data, int64_t at)
{
    struct arena a = {NULL, 0, 0};
    json_t *e = json_of(str_printf(&a,
                                   "{\"task\": \"%zu\", \"name\": \"t%zu\", \"kind\": \"task_%s\","
                                   " \"data\": {%s}}",
                                   100 + task, task, state, data));

    live_event(l, e, NOW + at * CLOCK_S);
    json_decref(e);
    arena_deinit(&a);
}

static void check(const struct live *l, size_t rows, size_t columns, int64_t at, const char *want)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    live_render(l, rows, columns, NOW + at * CLOCK_S, &b);
    CHECK_TEXT(buf_str(&b), want);
    buf_deinit(&b);
}

static void a_small_run_stands_in_the_order_of_its_file(void **state)
{
    struct live l;

    (void)state;
    begin(&l, 4, true);
    check(&l, 20, 80, 0,
          "○ t1           waiting\n"
          "○ t2           waiting\n"
          "○ t3           waiting\n"
          "○ t4           waiting\n"
          "░░░░░░░░░░░░░░░░░░░░ 0/4  0.00s  4 waiting  run 12 of etl\n");
    event(&l, 2, "RUNNING", "\"attempt\": 1", 1);
    event(&l, 1, "READY", "", 1);
    event(&l, 1, "RUNNING", "\"attempt\": 2", 2);
    event(&l, 3, "SKIPPED", "\"reason\": \"upstream_not_satisfied\"", 2);
    live_line(&l, 102, "\x1b[32mloading\x1b[0m 数据");
    live_progress(&l, 101, 40, "half of it");
    live_line(&l, 103, "it does not run");
    check(&l, 20, 80, 4,
          "● t1    2.00s  ████░░░░░░  40%  attempt 2  half of it\n"
          "● t2    3.00s  loading 数据\n"
          "⊘ t3           upstream_not_satisfied\n"
          "○ t4           waiting\n"
          "█████░░░░░░░░░░░░░░░ 1/4  4.00s  1 skipped, 2 running, 1 waiting  run 12 of etl\n");
    event(&l, 1, "FAILED", "\"outcome\": \"failed\", \"exit_code\": 3, \"run_s\": 2.5", 5);
    event(&l, 2, "SUCCEEDED", "\"outcome\": \"succeeded\", \"run_s\": 4.0", 5);
    event(&l, 4, "DELAYED",
          "\"outcome\": \"timed_out\", \"due_at\": \"2026-03-08T12:00:05.000000Z\", \"run_s\": 1",
          6);
    live_notice(&l, "interrupted");
    check(&l, 20, 80, 6,
          "✗ t1    2.50s  exit code 3\n"
          "✓ t2    4.00s\n"
          "⊘ t3           upstream_not_satisfied\n"
          "◷ t4    1.00s  timed out; again at 12:00:05Z\n"
          "███████████████░░░░░ 3/4  6.00s  1 succeeded, 1 failed, 1 skipped, 1 delayed  r…\n"
          "interrupted\n");
    live_deinit(&l);
}

static void a_large_run_shows_what_matters(void **state)
{
    struct live l;

    (void)state;
    begin(&l, 100, true);
    for (size_t i = 1; i <= 5; i++)
        event(&l, i, "RUNNING", "\"attempt\": 1", (int64_t)i);
    event(&l, 1, "SUCCEEDED", "\"outcome\": \"succeeded\", \"run_s\": 1", 6);
    event(&l, 2, "FAILED", "\"outcome\": \"failed\", \"exit_code\": 1, \"run_s\": 1", 7);
    event(&l, 3, "SUCCEEDED", "\"outcome\": \"succeeded\", \"run_s\": 1", 8);
    check(&l, 7, 80, 10,
          "● t4    6.00s\n"
          "● t5    5.00s\n"
          "✗ t2    1.00s  exit code 1\n"
          "✓ t3    1.00s\n"
          "✓ t1    1.00s\n"
          "… and 95 waiting\n"
          "░░░░░░░░░░░░░░░░░░░░ 3/100  10.0s  2 succeeded, 1 failed, 2 running, 95 waiting…\n");
    check(&l, 4, 80, 10,
          "● t4    6.00s\n"
          "● t5    5.00s\n"
          "… and 2 succeeded, 1 failed, 95 waiting\n"
          "░░░░░░░░░░░░░░░░░░░░ 3/100  10.0s  2 succeeded, 1 failed, 2 running, 95 waiting…\n");
    check(&l, 2, 80, 10,
          "… and 2 succeeded, 1 failed, 2 running, 95 waiting\n"
          "░░░░░░░░░░░░░░░░░░░░ 3/100  10.0s  2 succeeded, 1 failed, 2 running, 95 waiting…\n");
    check(&l, 1, 80, 10,
          "░░░░░░░░░░░░░░░░░░░░ 3/100  10.0s  2 succeeded, 1 failed, 2 running, 95 waiting…\n");
    check(&l, 0, 80, 10, "");
    live_deinit(&l);
}

/* Whatever the size, a picture is never larger than the screen. */
static void it_fits_into_every_screen(void **state)
{
    struct live l;

    (void)state;
    begin(&l, 12, true);
    for (size_t i = 1; i <= 6; i++)
        event(&l, i, "RUNNING", "\"attempt\": 3", 0);
    live_progress(&l, 101, 100, "数据数据数据数据数据数据数据数据数据数据数据数据数据数据");
    live_line(&l, 102,
              "a line that is longer than every screen in this test, so that it has to be cut");
    live_notice(&l, "a notice that is longer than the narrower screens");
    for (size_t rows = 0; rows <= 16; rows++)
        for (size_t columns = 1; columns <= 70; columns++) {
            struct buf b;
            size_t lines = 0, begun = 0;

            buf_init(&b, 1 << 20);
            live_render(&l, rows, columns, NOW + 3 * CLOCK_S, &b);
            for (size_t i = 0; i < b.n; i++)
                if (b.p[i] == '\n') {
                    assert_true(text_width(str_sub(buf_str(&b), begun, i - begun)) <= columns);
                    begun = i + 1;
                    lines++;
                }
            assert_true(lines <= rows);
            assert_int_equal(begun, b.n);
            buf_deinit(&b);
        }
    live_deinit(&l);
}

/* Tasks that were never listed are counted all the same, and memory stays bounded. */
static void a_huge_run_is_counted_without_its_tasks(void **state)
{
    struct live l;
    size_t n = 20000;

    (void)state;
    begin(&l, n, false);
    for (size_t i = 1; i <= n; i++) {
        event(&l, i, "READY", "\"from\": \"BLOCKED\"", 0);
        event(&l, i, "RUNNING", "\"from\": \"LEASED\", \"attempt\": 1", 0);
        event(&l, i, i % 10 ? "SUCCEEDED" : "FAILED", "\"from\": \"RUNNING\", \"run_s\": 0.1", 0);
    }
    assert_int_equal(l.counts[TASK_SUCCEEDED], n - n / 10);
    assert_int_equal(l.counts[TASK_FAILED], n / 10);
    assert_int_equal(l.counts[TASK_BLOCKED] + l.counts[TASK_READY] + l.counts[TASK_RUNNING], 0);
    assert_true(l.rows_n[LIVE_DONE] <= LIVE_KEEP && l.rows_n[LIVE_FAILED] <= LIVE_KEEP);
    /* A task that was forgotten and comes back is known from what its event says. */
    event(&l, 1, "READY", "\"from\": \"SUCCEEDED\"", 0);
    assert_int_equal(l.counts[TASK_SUCCEEDED], n - n / 10 - 1);
    assert_int_equal(l.counts[TASK_READY], 1);
    live_deinit(&l);
}

static void a_run_on_its_way_is_taken_up(void **state)
{
    json_t *run = json_of(
        STR("{\"id\": \"12\", \"workflow\": \"e\\u001btl\", \"created_at\": "
            "\"1970-01-01T00:00:10.000000Z\","
            "\"counts\": {\"running\": 1, \"failed\": 1, \"succeeded\": 1}, \"tasks\": ["
            "{\"id\": \"101\", \"name\": \"a\", \"state\": \"RUNNING\", \"attempts\": ["
            "{\"number\": 1, \"started_at\": \"1970-01-01T00:00:15.000000Z\"}]},"
            "{\"id\": \"102\", \"name\": \"b\", \"state\": \"FAILED\", \"detail\": \"it broke\", "
            "\"attempts\": ["
            "{\"number\": 1, \"run_time\": \"1.25s\"}]},"
            "{\"id\": \"103\", \"name\": \"c\", \"state\": \"SUCCEEDED\", \"detail\": \"\", "
            "\"attempts\": ["
            "{\"number\": 1, \"run_time\": \"2s\"}]}]}"));
    struct live l;

    (void)state;
    live_init(&l, run, NULL, false, false, NOW, 20 * CLOCK_S);
    json_decref(run);
    check(&l, 10, 80, 0,
          "* a    5.00s\n"
          "x b    1.25s  it broke\n"
          "+ c    2.00s\n"
          "#############....... 2/3  10.0s  1 succeeded, 1 failed, 1 running  run 12 of e\\~\n");
    live_deinit(&l);
}

static void told(struct live *l, const char *text, int64_t at)
{
    json_t *e = json_of(str_of(text));

    live_event(l, e, NOW + at * CLOCK_S);
    json_decref(e);
}

/* Issue 5: checks in both our words and TurboCI's, stages with their runners, as it grows. */
static void a_plan_is_drawn_as_it_grows(void **state)
{
    json_t *run =
        json_of(STR("{\"id\": \"12\", \"workflow\": \"ci\", \"growing\": true, \"counts\": "
                    "{\"running\": 1, \"blocked\": 1}, \"tasks\": ["
                    "{\"id\": \"101\", \"name\": \"compile\", \"state\": \"RUNNING\", \"stage\": "
                    "{\"type\": \"build\"}, \"attempts\": [{\"number\": 1, \"worker\": \"7\", "
                    "\"percent\": 10}]},"
                    "{\"id\": \"102\", \"name\": \"builds\", \"state\": \"BLOCKED\", \"check\": "
                    "{\"state\": \"PLANNING\", \"results_total\": 0}}]}"));
    json_t *workers = json_of(STR("[{\"id\": \"7\", \"name\": \"alpha\"}]"));
    struct live l;

    (void)state;
    live_init(&l, run, workers, false, true, NOW, 0);
    json_decref(run);
    json_decref(workers);
    check(&l, 10, 90, 1,
          "○ builds            BLOCKED/PLANNING\n"
          "● compile    1.00s  RUNNING           on alpha\n"
          "░░░░░░░░░░░░░░░░░░░░░░ 0/2  1.00s  1 running, 1 waiting  run 12 of ci, growing\n");
    told(&l,
         "{\"task\": \"102\", \"name\": \"builds\", \"kind\": \"task_BLOCKED\", \"data\": "
         "{\"from\": \"BLOCKED\", \"check\": \"PLANNED\"}}",
         1);
    told(&l,
         "{\"task\": \"103\", \"name\": \"test\", \"kind\": \"task_READY\", \"data\": "
         "{\"from\": \"\", \"reason\": \"waiting_for_worker\"}}",
         1);
    told(&l,
         "{\"task\": \"103\", \"name\": \"test\", \"kind\": \"task_LEASED\", \"data\": "
         "{\"from\": \"READY\", \"attempt\": 1, \"runner\": \"be\\nta\"}}",
         1);
    told(&l,
         "{\"task\": \"101\", \"name\": \"compile\", \"kind\": \"task_PROGRESS\", \"data\": "
         "{\"percent\": 60, \"message\": \"linking\"}}",
         2);
    told(&l,
         "{\"task\": \"101\", \"name\": \"compile\", \"kind\": \"task_PROGRESS\", \"data\": "
         "{\"message\": \"still linking\"}}",
         2);
    check(&l, 10, 90, 2,
          "○ builds            BLOCKED/PLANNED\n"
          "● compile    2.00s  RUNNING           on alpha  ██████░░░░  60%  still linking\n"
          "◌ test              LEASED            on be ta\n"
          "░░░░░░░░░░░░░░░░░░░░░░ 0/3  2.00s  1 running, 1 starting, 1 waiting  run 12 of ci, "
          "growing\n");
    told(&l,
         "{\"task\": \"101\", \"name\": \"compile\", \"kind\": \"task_SUCCEEDED\", \"data\": "
         "{\"from\": \"RUNNING\", \"run_s\": 2}}",
         2);
    told(&l,
         "{\"task\": \"102\", \"name\": \"builds\", \"kind\": \"check_result\", \"data\": "
         "{\"failed\": true}}",
         2);
    told(&l,
         "{\"task\": \"102\", \"name\": \"builds\", \"kind\": \"task_READY\", \"data\": "
         "{\"from\": \"BLOCKED\", \"check\": \"WAITING\"}}",
         2);
    told(&l, "{\"kind\": \"run_sealed\", \"task\": null, \"data\": {}}", 2);
    check(&l, 10, 90, 2,
          "◌ builds            READY/WAITING     1 result, 1 failed\n"
          "✓ compile    2.00s  SUCCEEDED         on alpha\n"
          "◌ test              LEASED            on be ta\n"
          "███████░░░░░░░░░░░░░░░ 1/3  2.00s  1 succeeded, 1 starting, 1 ready  run 12 of ci\n");
    live_deinit(&l);
}

static void what_is_none_of_its_business_is_ignored(void **state)
{
    static const char *const events[] = {
        "{}",
        "{\"kind\": \"run_RUNNING\", \"task\": null}",
        "{\"kind\": \"task_\", \"task\": \"101\"}",
        "{\"kind\": \"task_NONSENSE\", \"task\": \"101\"}",
        "{\"kind\": \"task_RUNNING\"}",
        "{\"kind\": 5, \"task\": 101}",
    };
    struct live l;

    (void)state;
    begin(&l, 1, true);
    for (size_t i = 0; i < ROWS_N(events); i++) {
        json_t *e = json_of(str_of(events[i]));

        live_event(&l, e, NOW);
        json_decref(e);
    }
    live_line(&l, 999, "nobody");
    live_progress(&l, 999, 5, "nobody");
    assert_int_equal(l.counts[TASK_BLOCKED], 1);
    live_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_run_stands_in_the_order_of_its_file),
        cmocka_unit_test(a_large_run_shows_what_matters),
        cmocka_unit_test(it_fits_into_every_screen),
        cmocka_unit_test(a_huge_run_is_counted_without_its_tasks),
        cmocka_unit_test(a_run_on_its_way_is_taken_up),
        cmocka_unit_test(a_plan_is_drawn_as_it_grows),
        cmocka_unit_test(what_is_none_of_its_business_is_ignored),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
