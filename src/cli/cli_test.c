/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as a whole, against a weft that is played by a script. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "cli/command.h"
#include "cli/fake_testing.h"

#define FOLLOW(how, after)                                                                         \
    {                                                                                              \
        .kind = FAKE_FOLLOW, .name = (how), .number = (after)                                      \
    }
#define HEAR(kind_, data)                                                                          \
    {                                                                                              \
        .kind = FAKE_EVENT, .name = "an event",                                                    \
        .text = "{\"seq\": \"1\", \"at\": \"2026-03-08T12:00:01.000000Z\", \"run\": \"12\", "      \
                "\"task\": \"13\", \"name\": \"extract\", \"kind\": \"" kind_                      \
                "\", \"data\": {" data "}}"                                                        \
    }
#define ENDED                                                                                      \
    {                                                                                              \
        .kind = FAKE_ENDED, .name = "the end"                                                      \
    }

#define FAILED_TASK                                                                                \
    "{\"id\": \"13\", \"name\": \"extract\", \"state\": \"FAILED\", \"reason\": "                  \
    "\"command_failed\", \"detail\": \"the command ended with exit code 3\", \"output\": null, "   \
    "\"attempts\": [{\"number\": 1, \"token\": \"5\", \"outcome\": \"failed\", \"exit_code\": 3, " \
    "\"run_time\": \"0.5s\", \"stderr_tail\": \"first\\nno such "                                  \
    "\\u001b[31mtable\\u001b[0m\\n\"}]}"
#define SKIPPED_TASK                                                                               \
    "{\"id\": \"14\", \"name\": \"load\", \"state\": \"SKIPPED\", \"reason\": "                    \
    "\"upstream_not_satisfied\", \"detail\": \"\", \"output\": null, \"attempts\": []}"
#define FAILED_HEAD                                                                                \
    "\"id\": \"12\", \"workflow\": \"etl\", \"version\": 3, \"state\": \"FAILED\", "               \
    "\"reason\": \"tasks_failed\", \"duration\": \"0.75s\", \"seq\": \"9\", "                      \
    "\"counts\": {\"failed\": 1, \"skipped\": 1}"
#define SUCCEEDED_HEAD                                                                             \
    "\"id\": \"12\", \"workflow\": \"etl\", \"version\": 3, \"state\": \"SUCCEEDED\", "            \
    "\"reason\": \"\", \"duration\": \"0.75s\", \"seq\": \"9\", \"counts\": {\"succeeded\": 2}"

#define STORED                                                                                     \
    "{\"name\": \"etl\", \"version\": 3, \"kind\": \"graph\", \"tasks\": 2, \"created\": true}"

/* A run from a file: stored, started, followed, told. */
struct fixture {
    char dir[64];
    char file[96];
    char start[512];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    FILE *out;

    snprintf(f->dir, sizeof(f->dir), "/tmp/weft-cli-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof(f->file), "%s/etl.yaml", f->dir);
    out = fopen(f->file, "w");
    fputs("weft: 1\n", out);
    fclose(out);
    snprintf(f->start, sizeof(f->start),
             "{\"workflow\": \"etl\", \"version\": 3, \"params\": {\"day\": \"a=b\"}, \"dir\": "
             "\"%s\", \"local\": true}",
             f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unlink(f->file);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void a_failed_run_on_a_pipe(void **state)
{
    const struct fixture *f = *state;
    const struct fake_step steps[] = {
        CALL("workflows.put", NULL, STORED),
        CALL("runs.start", f->start, "{\"id\": \"12\", \"state\": \"RUNNING\"}"),
        FOLLOW("carry", 0),
        HEAR("task_RUNNING", "\"attempt\": 1"),
        {.kind = FAKE_LINE, .name = "a line", .number = 13, .text = "no such table"},
        {.kind = FAKE_TICK,     .name = "a tick"},
        HEAR("task_FAILED",
             "\"attempt\": 1, \"outcome\": \"failed\", \"exit_code\": 3, \"run_s\": 0.5"),
        ENDED,
        CALL("runs.get", "{\"id\": \"12\", \"tasks\": false}", "{" FAILED_HEAD "}"),
        CALL("runs.get", "{\"id\": \"12\", \"page_token\": \"\"}",
             "{" FAILED_HEAD ", \"tasks\": [" FAILED_TASK ", " SKIPPED_TASK
             "], \"next_page_token\": \"\"}"),
        {.name = NULL                },
    };

    fake_check("a failed run", steps, FAKE_ARGS("run", f->file, "-p", "day=a=b"), 1,
               "12:00:01Z extract RUNNING attempt 1\n"
               "12:00:01Z extract FAILED attempt 1 exit code 3 0.50s\n"
               "extract failed: the command ended with exit code 3 [command_failed]\n"
               "    | first\n"
               "    | no such table\n"
               "    whole log: weft runs logs 12 extract\n"
               "run 12 of etl FAILED in 0.75s: 1 failed, 1 skipped\n",
               "");
}

static void a_run_as_one_object(void **state)
{
    const struct fixture *f = *state;
    const struct fake_step steps[] = {
        CALL("workflows.put", NULL, STORED),
        CALL("runs.start", f->start, "{\"id\": \"12\", \"state\": \"RUNNING\"}"),
        FOLLOW("carry", 0),
        HEAR("task_RUNNING", "\"attempt\": 1"),
        {.kind = FAKE_NOTICE,    .name = "a notice", .text = "interrupted"},
        ENDED,
        CALL("runs.get", "{\"id\": \"12\", \"tasks\": false}", "{" FAILED_HEAD "}"),
        CALL("runs.get", "{\"id\": \"12\", \"page_token\": \"\"}",
             "{" FAILED_HEAD ", \"tasks\": [" FAILED_TASK "], \"next_page_token\": \"x\"}"),
        CALL("runs.get", "{\"id\": \"12\", \"page_token\": \"x\"}",
             "{" FAILED_HEAD ", \"tasks\": [" SKIPPED_TASK "], \"next_page_token\": \"\"}"),
        {.name = NULL},
    };
    struct fake_result r =
        fake_run(steps, FAKE_ARGS("run", "-o", "json", "-p", "day=a=b", f->file));
    json_t *run = json_loads(r.out, 0, NULL);

    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "weft: interrupted\n");
    assert_non_null(run);
    assert_string_equal(json_string_value(json_object_get(run, "state")), "FAILED");
    assert_int_equal(json_array_size(json_object_get(run, "tasks")), 2);
    assert_null(json_object_get(run, "next_page_token"));
    /* Hostile text stays data: nothing of it reaches a terminal raw. */
    assert_null(strchr(r.out, '\x1b'));
    json_decref(run);
    fake_result_deinit(&r);
}

static void a_run_as_lines_of_json(void **state)
{
    const struct fixture *f = *state;
    const struct fake_step steps[] = {
        CALL("workflows.put", NULL, STORED),
        CALL("runs.start", f->start, "{\"id\": \"12\", \"state\": \"RUNNING\"}"),
        FOLLOW("carry", 0),
        HEAR("task_RUNNING", "\"attempt\": 1"),
        ENDED,
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD "}"),
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD ", \"tasks\": [], \"next_page_token\": \"\"}"),
        {.name = NULL},
    };

    fake_check(
        "jsonl", steps, FAKE_ARGS("run", "-ojsonl", "-pday=a=b", f->file), 0,
        "{\"seq\":\"1\",\"at\":\"2026-03-08T12:00:01.000000Z\",\"run\":\"12\",\"task\":\"13\","
        "\"name\":\"extract\",\"kind\":\"task_RUNNING\",\"data\":{\"attempt\":1}}\n"
        "{\"run\":{\"id\":\"12\",\"workflow\":\"etl\",\"version\":3,\"state\":\"SUCCEEDED\","
        "\"reason\":\"\",\"duration\":\"0.75s\",\"seq\":\"9\",\"counts\":{\"succeeded\":2},"
        "\"tasks\":[]}}\n",
        "");
}

static void a_quiet_run_says_nothing_of_success(void **state)
{
    const struct fixture *f = *state;
    const struct fake_step steps[] = {
        CALL("workflows.put", NULL, STORED),
        CALL("runs.start", f->start, "{\"id\": \"12\", \"state\": \"RUNNING\"}"),
        FOLLOW("carry", 0),
        HEAR("task_RUNNING", "\"attempt\": 1"),
        ENDED,
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD "}"),
        {.name = NULL},
    };

    fake_check("quiet", steps, FAKE_ARGS("run", "-q", "-pday=a=b", f->file), 0, "", "");
}

static void a_faulty_file_is_named_with_its_places(void **state)
{
    const struct fixture *f = *state;
    char err[512];
    const struct fake_step steps[] = {
        REFUSE("workflows.put", CODE_WORKFLOW_INVALID, "etl is no valid workflow: 1 error"),
        {.name = NULL},
    };

    snprintf(err, sizeof(err), "weft: etl is no valid workflow: 1 error [workflow_invalid]\n");
    fake_check("faulty", steps, FAKE_ARGS("run", f->file), 2, "", err);
    snprintf(err, sizeof(err), "weft: %s/none.yaml: there is no such file [invalid_argument]\n",
             f->dir);
    {
        char none[128];

        snprintf(none, sizeof(none), "%s/none.yaml", f->dir);
        fake_check("missing", NULL, FAKE_ARGS("run", none), 2, "", err);
    }
    snprintf(err, sizeof(err), "weft: %s: this is a folder, not a file [invalid_argument]\n",
             f->dir);
    fake_check("a folder", NULL, FAKE_ARGS("run", f->dir), 2, "", err);
}

static void a_resumed_run_tells_only_what_is_new(void **state)
{
    static const struct fake_step steps[] = {
        CALL("runs.resume", "{}",
             "{\"id\": \"12\", \"state\": \"RUNNING\", \"recovered\": [{\"task\": \"13\", "
             "\"name\": \"ex\\ntract\"}]}"),
        CALL("runs.get", "{\"id\": \"12\", \"tasks\": false}",
             "{\"id\": \"12\", \"state\": \"RUNNING\", \"seq\": \"7\", \"counts\": {}}"),
        FOLLOW("carry", 7),
        HEAR("task_SUCCEEDED", "\"run_s\": 1"),
        ENDED,
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD "}"),
        {.name = NULL},
    };

    (void)state;
    fake_check("resume", steps, FAKE_ARGS("runs", "resume"), 0,
               "run 12 goes on\n"
               "taken back from a program that died: ex\\ntract\n"
               "12:00:01Z extract SUCCEEDED 1.00s\n"
               "run 12 of etl SUCCEEDED in 0.75s: 2 succeeded\n",
               "");
}

static void watching_a_run_that_has_ended_ends_at_once(void **state)
{
    static const struct fake_step steps[] = {
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD "}"),
        CALL("runs.get", NULL, "{" SUCCEEDED_HEAD "}"),
        {.name = NULL},
    };

    (void)state;
    fake_check("watch", steps, FAKE_ARGS("runs", "watch", "12"), 0,
               "run 12 of etl SUCCEEDED in 0.75s: 2 succeeded\n", "");
}

static void watching_can_end_before_the_run(void **state)
{
    static const struct fake_step steps[] = {
        CALL("runs.get", NULL,
             "{\"id\": \"12\", \"state\": \"RUNNING\", \"seq\": \"7\", \"counts\": {}}"),
        FOLLOW("watch", 7),
        ENDED,
        CALL("runs.get", NULL, "{\"id\": \"12\", \"state\": \"RUNNING\", \"counts\": {}}"),
        {.name = NULL},
    };

    (void)state;
    fake_check("watch", steps, FAKE_ARGS("--data", "/x y", "runs", "watch", "12"), 1, "",
               "weft: run 12 goes on; look again with weft runs watch --data '/x y' 12\n");
}

static void lists_are_tables_or_json(void **state)
{
    static const struct fake_step steps[] = {
        CALL("runs.list", "{\"page_size\": 50, \"page_token\": \"\", \"state\": \"FAILED\"}",
             "{\"runs\": [{\"id\": \"12\", \"workflow\": \"e\\ttl\", \"version\": 3, \"state\": "
             "\"FAILED\","
             " \"created_at\": \"2026-03-08T12:00:01.000000Z\", \"ended_at\": null, "
             "\"duration\": \"61.5s\","
             " \"counts\": {\"failed\": 1, \"succeeded\": 2}}], \"next_page_token\": \"\"}"),
        {.name = NULL},
    };

    (void)state;
    fake_check(
        "table", steps, FAKE_ARGS("runs", "list", "--state", "failed"), 0,
        "   RUN  WORKFLOW  VERSION  STATE   TASKS  STARTED (UTC)        TIME   COUNTS\n"
        "x  12   e\\ttl           3  FAILED  3/3    2026-03-08 12:00:01  1m01s  2 succeeded, "
        "1 failed\n",
        "");
    fake_check(
        "jsonl", steps, FAKE_ARGS("runs", "list", "--state=FAILED", "-o", "jsonl"), 0,
        "{\"id\":\"12\",\"workflow\":\"e\\ttl\",\"version\":3,\"state\":\"FAILED\","
        "\"created_at\":\"2026-03-08T12:00:01.000000Z\",\"ended_at\":null,\"duration\":\"61.5s\","
        "\"counts\":{\"failed\":1,\"succeeded\":2}}\n",
        "");
}

static void lists_are_read_page_by_page(void **state)
{
    static const struct fake_step steps[] = {
        CALL("runs.list", "{\"page_size\": 3, \"page_token\": \"\"}",
             "{\"runs\": [{\"id\": \"3\"}, {\"id\": \"2\"}], \"next_page_token\": \"2\"}"),
        CALL("runs.list", "{\"page_size\": 1, \"page_token\": \"2\"}",
             "{\"runs\": [{\"id\": \"1\"}], \"next_page_token\": \"1\"}"),
        {.name = NULL},
    };

    (void)state;
    fake_check("pages", steps, FAKE_ARGS("runs", "list", "-n", "3", "-ojsonl"), 0,
               "{\"id\":\"3\"}\n{\"id\":\"2\"}\n{\"id\":\"1\"}\n", "");
}

static void why_takes_runs_and_tasks(void **state)
{
    static const struct fake_step task[] = {
        CALL(
            "tasks.why", "{\"run\": \"12\", \"name\": \"a/b\"}",
            "{\"name\": \"a/b\", \"state\": \"BLOCKED\", \"reason\": \"waiting_for_dependencies\","
            " \"text\": \"it waits for 1 task\", \"groups\": [{\"rule\": \"at_least\", \"need\": 2,"
            " \"total\": 3, \"done\": 1, \"succeeded\": 1, \"verdict\": \"WAITING\", \"from\": "
            "[\"x\", \"y\"]}]}"),
        {.name = NULL},
    };
    static const struct fake_step either[] = {
        REFUSE("runs.why", CODE_RUN_NOT_FOUND, "run 13 does not exist"),
        REFUSE("tasks.why", CODE_TASK_NOT_FOUND, "task 13 does not exist"),
        {.name = NULL},
    };

    (void)state;
    fake_check("a task", task, FAKE_ARGS("why", "12/a/b"), 0,
               "a/b is BLOCKED: it waits for 1 task [waiting_for_dependencies]\n"
               "needs     at_least 2 of x, y: 1 of 3 ended, 1 succeeded (WAITING)\n",
               "");
    fake_check("nothing", either, FAKE_ARGS("why", "13"), 3, "",
               "weft: there is no run and no task 13 [run_not_found]\n");
}

#define LOG_RUN                                                                                    \
    CALL(                                                                                          \
        "runs.get", NULL,                                                                          \
        "{\"id\": \"12\", \"state\": \"SUCCEEDED\", \"seq\": \"5\", \"tasks\": [{\"name\": "       \
        "\"a\", "                                                                                  \
        "\"state\": \"SUCCEEDED\", \"attempts\": [{\"number\": 1}, {\"number\": 2}]}, {\"name\": " \
        "\"b\", \"state\": \"SKIPPED\", \"attempts\": []}]}")

static void logs_come_in_pieces_under_headings(void **state)
{
    static const struct fake_step both[] = {
        LOG_RUN,
        CALL("logs.read",
             "{\"run\": \"12\", \"name\": \"a\", \"attempt\": 2, \"stream\": \"stdout\", "
             "\"offset\": 0,"
             " \"max\": 262144}",
             "{\"attempt\": 2, \"text\": \"one\\n\", \"next_offset\": 4, \"end\": false}"),
        CALL("logs.read", NULL,
             "{\"attempt\": 2, \"text\": \"two\", \"next_offset\": 7, \"end\": true}"),
        CALL("logs.read",
             "{\"run\": \"12\", \"name\": \"a\", \"attempt\": 2, \"stream\": \"stdout\", "
             "\"offset\": 7,"
             " \"max\": 262144}",
             "{\"attempt\": 2, \"text\": \"\", \"next_offset\": 7, \"end\": true}"),
        CALL("logs.read", NULL,
             "{\"attempt\": 2, \"text\": \"oh\\n\", \"next_offset\": 3, \"end\": true}"),
        CALL("logs.read", NULL,
             "{\"attempt\": 2, \"text\": \"\", \"next_offset\": 3, \"end\": true}"),
        {.name = NULL},
    };
    static const struct fake_step one[] = {
        LOG_RUN,
        CALL("logs.read",
             "{\"run\": \"12\", \"name\": \"a\", \"attempt\": 1, \"stream\": \"stderr\", "
             "\"offset\": 0,"
             " \"max\": 262144}",
             "{\"attempt\": 1, \"text\": \"oh\\n\", \"next_offset\": 3, \"end\": true}"),
        REFUSE("logs.read", CODE_LOG_NOT_FOUND, "it is gone"),
        {.name = NULL},
    };
    static const struct fake_step empty[] = {
        LOG_RUN,
        CALL("logs.read", NULL,
             "{\"attempt\": 2, \"text\": \"\", \"next_offset\": 0, \"end\": true}"),
        CALL("logs.read", NULL,
             "{\"attempt\": 2, \"text\": \"\", \"next_offset\": 0, \"end\": true}"),
        {.name = NULL},
    };
    static const struct fake_step none[] = {
        LOG_RUN,
        {.name = NULL},
    };

    (void)state;
    fake_check("empty", empty, FAKE_ARGS("runs", "logs", "12", "a"), 0, "",
               "weft: a wrote nothing\n");
    fake_check("both", both, FAKE_ARGS("runs", "logs", "12"), 0,
               "==> a, attempt 2, stdout <==\none\ntwo\n==> a, attempt 2, stderr <==\noh\n", "");
    fake_check("one", one, FAKE_ARGS("runs", "logs", "12", "a", "--attempt", "1", "--stderr"), 0,
               "oh\n", "");
    fake_check("none", none, FAKE_ARGS("runs", "logs", "12", "c"), 3, "",
               "weft: run 12 has no task \"c\" [task_not_found]\n");
}

static void logs_are_followed_to_the_end(void **state)
{
    static const struct fake_step steps[] = {
        CALL(
            "runs.get", NULL,
            "{\"id\": \"12\", \"state\": \"RUNNING\", \"seq\": \"5\", \"tasks\": [{\"name\": \"a\","
            " \"state\": \"READY\", \"attempts\": []}]}"),
        FOLLOW("watch", 5),
        {.kind = FAKE_EVENT,
                      .name = "event",
                      .text = "{\"seq\": \"6\", \"name\": \"a\", \"kind\": \"task_RUNNING\", \"data\": "
                 "{\"attempt\": 1}}"},
        {.kind = FAKE_EVENT,
                      .name = "event",
                      .text = "{\"seq\": \"7\", \"name\": \"b\", \"kind\": \"task_RUNNING\", \"data\": "
                 "{\"attempt\": 1}}"},
        {.kind = FAKE_TEXT, .name = "text", .text = "one\n"},
        {.kind = FAKE_EVENT,
                      .name = "event",
                      .text = "{\"seq\": \"8\", \"name\": \"a\", \"kind\": \"task_SUCCEEDED\", \"data\": {}}"},
        {.kind = FAKE_TEXT,  .name = "text", .text = "two\n"},
        ENDED,
        {.name = NULL  },
    };

    (void)state;
    fake_check(
        "follow", steps, FAKE_ARGS("runs", "logs", "12", "a", "-f", "--stdout", "-ojsonl"), 0,
        "{\"run\":\"12\",\"task\":\"a\",\"attempt\":1,\"stream\":\"stdout\",\"text\":\"one\\n\"}\n"
        "{\"run\":\"12\",\"task\":\"a\",\"attempt\":1,\"stream\":\"stdout\",\"text\":\"two\\n\"}\n",
        "");
}

static void the_doctor_ends_with_what_it_found(void **state)
{
    static const struct fake_step steps[] = {
        CALL(
            "doctor.check", "{\"repair\": true}",
            "{\"ok\": false, \"checks\": [{\"id\": \"a\", \"name\": \"counts are sums\", \"ok\": "
            "true, \"found\": 0,"
            " \"text\": \"\", \"advice\": \"\"}, {\"id\": \"b\", \"name\": \"leases end\", \"ok\": "
            "false, \"found\": 2,"
            " \"text\": \"task 7 is held by nobody\", \"advice\": \"run weft doctor --repair\"}]}"),
        {.name = NULL},
    };

    (void)state;
    fake_check("doctor", steps, FAKE_ARGS("doctor", "--repair"), 1,
               "ok    counts are sums\n"
               "WRONG leases end\n"
               "      task 7 is held by nobody (2 found)\n"
               "      run weft doctor --repair\n",
               "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failed_run_on_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_as_one_object, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_as_lines_of_json, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quiet_run_says_nothing_of_success, setup, teardown),
        cmocka_unit_test_setup_teardown(a_faulty_file_is_named_with_its_places, setup, teardown),
        cmocka_unit_test(a_resumed_run_tells_only_what_is_new),
        cmocka_unit_test(watching_a_run_that_has_ended_ends_at_once),
        cmocka_unit_test(watching_can_end_before_the_run),
        cmocka_unit_test(lists_are_tables_or_json),
        cmocka_unit_test(lists_are_read_page_by_page),
        cmocka_unit_test(why_takes_runs_and_tasks),
        cmocka_unit_test(logs_come_in_pieces_under_headings),
        cmocka_unit_test(logs_are_followed_to_the_end),
        cmocka_unit_test(the_doctor_ends_with_what_it_found),
    };

    /* Nothing of the world outside may change what is printed. */
    unsetenv("WEFT_STORE");
    unsetenv("WEFT_DATA");
    setenv("LC_ALL", "C", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
