/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include "base/test.h"

struct row {
    const char *name;
    const char *task;
    const char *kind;
    const char *data;
    const char *want;
};

static void check(const struct row *row)
{
    json_t *data = json_loads(row->data, 0, NULL), *event;
    struct buf b;

    CHECK_ROW(row->name, data != NULL);
    event = json_pack("{s:s, s:s, s:s, s:s?, s:s, s:o}", "at", "2026-03-08T12:00:01.500000Z", "run",
                      "12", "task", "13", "name", row->task, "kind", row->kind, "data", data);
    buf_init(&b, 4096);
    lines_event(&b, event);
    if (!str_eq(buf_str(&b), str_of(row->want)))
        fail_msg("%s: found \"" STR_FMT "\", wanted \"%s\"", row->name, STR_ARG(buf_str(&b)),
                 row->want);
    buf_deinit(&b);
    json_decref(event);
}

static void each_change_is_a_line(void **state)
{
    static const struct row rows[] = {
        {
         "a run",                                                                     NULL,
         "run_RUNNING",                                                                                                                                                                             "{}",
         "12:00:01Z run 12 RUNNING\n", },
        {
         "ready at first",                                                                          "extract",
         "task_READY",                                                                                                                                                                          "{\"from\": \"BLOCKED\"}",
         "", },
        {
         "handed out",                                                  "extract",
         "task_LEASED",                                                                                                                                                                                    "{}",
         "", },
        {
         "running",                 "extract",
         "task_RUNNING","{\"attempt\": 1, \"token\": \"5\", \"worker\": \"1\"}",
         "12:00:01Z extract RUNNING attempt 1\n", },
        {
         "succeeded",                                                                            "extract",
         "task_SUCCEEDED",                                                                                                                                                      "{\"attempt\": 1, \"outcome\": \"succeeded\", \"exit_code\": 0, \"run_s\": 0.12}",
         "12:00:01Z extract SUCCEEDED 0.12s\n", },
        {
         "failed",                                    "extract",
         "task_FAILED",                                                                                                                                              "{\"attempt\": 2, \"outcome\": \"failed\", \"exit_code\": 3, \"run_s\": 1.5,"
            " \"reason\": \"command_failed\"}",                                                                                                                                                                                                                 "12:00:01Z extract FAILED attempt 2 exit code 3 1.50s (command_failed)\n",
         },
        {
         "timed out",                                                            "extract",
         "task_FAILED",                                                                                                                                                    "{\"attempt\": 1, \"outcome\": \"timed_out\", \"signal\": 15, \"run_s\": 2,"
            " \"reason\": \"timed_out\"}",                                                                                                                                                                                   "12:00:01Z extract FAILED attempt 1 timed out 2.00s\n",
         },
        {
         "tries again later",                                                                    "extract",
         "task_DELAYED",                                                                                                                                                                             "{\"attempt\": 1, \"outcome\": \"failed\", \"exit_code\": 1, \"run_s\": 0.1,"
            " \"reason\": \"waiting_for_backoff\", \"due_at\": \"2026-03-08T12:00:05.000000Z\"}",                                                                                                                                                                "12:00:01Z extract DELAYED attempt 1 exit code 1 0.10s until 12:00:05Z"
            " (waiting_for_backoff)\n", },
        {
         "tries again at once",                                                                           "extract",
         "task_READY",                                                                                                                                                                               "{\"attempt\": 1, \"outcome\": \"lost\", \"reason\": \"retrying\"}",
         "12:00:01Z extract READY attempt 1 lost (retrying)\n", },
        {
         "given back",                                   "extract",
         "task_READY",                                                                                                                                                                                         "{\"reason\": \"requeued\"}",
         "12:00:01Z extract READY (requeued)\n", },
        {
         "skipped","extract",
         "task_SKIPPED",                                                                           "{\"reason\": \"upstream_not_satisfied\"}",
         "12:00:01Z extract SKIPPED (upstream_not_satisfied)\n", },
        {
         "a hostile name",                                                                            "a\nb\x1b[2J",
         "task_RUNNING",                                                                                "{\"attempt\": 1}",
         "12:00:01Z a\\nb\\x1b[2J RUNNING attempt 1\n", },
        {"a new stage",                      "compile",                                                                     "task_READY",
         "{\"from\": \"\", \"reason\": \"waiting_for_worker\"}",                                                                                                                                                                                                                "12:00:01Z compile READY\n"},
        {"a new check",                                                                "builds",                                                                                    "task_BLOCKED",
         "{\"from\": \"\", \"reason\": \"being_planned\", \"check\": \"PLANNING\"}",                                                                                                                                                                                  "12:00:01Z builds BLOCKED/PLANNING\n"},
        {"a check that waits",                                                                   "builds",                                                                                                            "task_READY",
         "{\"from\": \"BLOCKED\", \"reason\": \"waiting_for_results\", \"check\": \"WAITING\"}",                                                                                        "12:00:01Z builds READY/WAITING\n"},
        {"a check that failed",                                                                          "builds",                                                                                                                           "task_FAILED",
         "{\"from\": \"READY\", \"reason\": \"check_failed\", \"check\": \"FINAL\"}",                                                                                                                  "12:00:01Z builds FAILED/FINAL (check_failed)\n"},
        {"a runner is asked",                                                         "compile",                                                                                "task_LEASED",
         "{\"from\": \"READY\", \"attempt\": 1, \"runner\": \"al\\npha\"}",                                                                                                                                                                          "12:00:01Z compile LEASED attempt 1 on al\\npha\n"},
        {"progress",                                             "compile",             "task_PROGRESS",                                                                                                                                    "{\"percent\": 40, \"message\": \"link\\ning\"}",
         "12:00:01Z compile 40% link ing\n"},
        {"progress in words",                                                               "compile",                                        "task_PROGRESS", "{\"message\": \"linking\"}",
         "12:00:01Z compile linking\n"},
        {"progress in percent",                                                                           "compile",                                                                                                        "task_PROGRESS",                                                                                        "{\"percent\": 40}",
         "12:00:01Z compile 40%\n"},
        {"a result",                                         "builds",                                                                                         "check_result",                                                                                                                               "{\"failed\": false, \"final\": false}",
         "12:00:01Z builds has a result\n"},
        {"a last result", "builds", "check_result",                                                           "{\"failed\": true, \"final\": true}",
         "12:00:01Z builds has a final result, with a failure\n"},
        {"sealed",                                                              NULL,                                                             "run_sealed",                                                                     "{}","12:00:01Z run 12 sealed\n"},
        {
         "another noun",                      NULL,
         "worker_READY","{}",
         "", },
        {
         "no noun",                                                         NULL,
         "",                                      "{}",
         "", },
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        check(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
