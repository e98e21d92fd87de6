/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/methods.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/task.h"
#include "serve/jsoncall.h"
#include "serve/logs.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

#define CHAIN                                                                                      \
    "weft: 1\nname: chain\nparams:\n  day: {type: string, default: monday}\ntasks:\n"              \
    "  extract: {run: [\"true\"]}\n  load: {run: [\"true\"], needs: [extract]}\n"

struct fixture {
    struct arena arena;
    char folder[64];
    struct api_house m;
    uv_loop_t loop;
    struct methods *methods;
    struct client_problem problem;
    int64_t run, worker;
    struct task_lease lease; /* of the first task, which runs */
};

static struct batcher *batcher_at(struct str url, enum store_mode mode)
{
    struct batcher_options o = {
        .name = "store", .store = {.url = url, .mode = mode}
    };
    struct batcher *b;

    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

/* Make a call; the reply, or NULL and a problem. */
static json_t *call(struct fixture *f, const char *method, const char *request)
{
    json_t *r = request ? json_loads(request, 0, NULL) : NULL, *reply = NULL;

    assert_true(r || !request);
    client_problem_clear(&f->problem);
    if (jsoncall(f->methods, &f->loop, method, r, &reply, &f->problem))
        reply = NULL;
    else
        assert_int_equal(f->problem.code, CODE_OK);
    json_decref(r);
    return reply;
}

static json_t *must(struct fixture *f, const char *method, const char *request)
{
    json_t *reply = call(f, method, request);

    if (!reply)
        fail_msg("%s %s: %s", method, request ? request : "", f->problem.text);
    return reply;
}

BATCHER_FUNCTION(do_register, worker_register)
BATCHER_FUNCTION(do_claim, task_claim)
BATCHER_FUNCTION(do_complete, task_complete)

static void transact(struct fixture *f, batcher_function *function, const void *request,
                     void *reply, size_t reply_size, struct arena *ret_arena)
{
    struct batcher_request q = {
        .function = function, .request = request, .reply = reply, .reply_size = reply_size};

    batcher_call(f->m.writer, &q);
    if (q.answer.code != CODE_OK)
        fail_msg(STR_FMT, STR_ARG(q.answer.text));
    *ret_arena = q.arena;
}

/* Register a worker of another process and let it take the first task. */
static void hold_first(struct fixture *f)
{
    struct worker_register join = {.name = STR("w"),
                                   .kind = STR("local"),
                                   .host = STR("elsewhere"),
                                   .boot = STR("b"),
                                   .site = STR("s"),
                                   .pid = 7,
                                   .slots = 3,
                                   .ttl_us = 60000000,
                                   .run = f->run};
    struct task_claim claim = {.run = f->run, .max = 1};
    struct task_leases leases;
    struct worker_row w;
    struct arena a;

    transact(f, do_register, &join, &w, sizeof(w), &a);
    f->worker = claim.worker = w.incarnation;
    arena_deinit(&a);
    transact(f, do_claim, &claim, &leases, sizeof(leases), &a);
    assert_int_equal(leases.n, 1);
    f->lease = leases.list[0];
    arena_deinit(&a);
}

static int set_up(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));
    json_t *request, *reply;
    int64_t id;

    snprintf(f->folder, sizeof(f->folder), "/tmp/weft-methods-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->m.data = f->folder;
    f->m.url = str_printf(&f->arena, "sqlite:%s/weft.db", f->folder);
    f->m.self = (struct guardian_self){.host = STR("here"), .boot = STR("b"), .pid = 1};
    f->m.writer = batcher_at(f->m.url, STORE_WRITE);
    f->m.reader = batcher_at(f->m.url, STORE_READ);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(methods_new(&f->loop, &f->m, &f->methods), 0);
    request = json_pack("{s:s, s:s, s:s}", "source", CHAIN, "path", "/x/chain.yaml",
                        "fallback_name", "chain");
    if (jsoncall(f->methods, &f->loop, "workflows.put", request, &reply, &f->problem))
        fail_msg("%s", f->problem.text);
    json_decref(request);
    json_decref(reply);
    reply = must(f, "runs.start", "{\"workflow\": \"chain\", \"dir\": \"/x\"}");
    assert_true(str_int64(str_of(json_string_value(json_object_get(reply, "id"))), &id));
    f->run = id;
    json_decref(reply);
    hold_first(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"weft.db", "weft.db-wal", "weft.db-shm"};
    struct fixture *f = *state;
    const char *logs = logs_folder(&f->arena, f->folder, f->run).p;

    methods_free(f->methods);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    batcher_free(f->m.reader);
    batcher_free(f->m.writer);
    client_problem_clear(&f->problem);
    unlink(logs_path(&f->arena, f->folder, f->run, f->lease.task, 1, LOGS_STDOUT).p);
    rmdir(logs);
    rmdir(str_printf(&f->arena, "%s/logs", f->folder).p);
    for (size_t i = 0; i < ROWS_N(files); i++)
        unlink(str_printf(&f->arena, "%s/%s", f->folder, files[i]).p);
    rmdir(f->folder);
    arena_deinit(&f->arena);
    free(f);
    return 0;
}

/* `text` with RUN and TASK replaced by the fixture's ids. */
static const char *fill(struct fixture *f, const char *text)
{
    struct buf b;
    const char *out;

    buf_init(&b, 4096);
    while (*text) {
        if (str_starts(str_of(text), STR("RUN_ID"))) {
            buf_printf(&b, "%" PRId64, f->run);
            text += 6;
        } else if (str_starts(str_of(text), STR("TASK_ID"))) {
            buf_printf(&b, "%" PRId64, f->lease.task);
            text += 7;
        } else {
            buf_byte(&b, *text++);
        }
    }
    out = str_cstr(&f->arena, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static void calls_give_what_the_documentation_says(void **state)
{
    static const struct {
        const char *method;
        const char *request;
        const char *wants[5]; /* parts of the reply */
    } rows[] = {
        {"workflows.get",
         "{\"name\": \"chain\"}",                                               {"\"name\":\"chain\",\"version\":1,\"kind\":\"graph\",\"description\":\"\",\"tasks\":2,"
          "\"path\":\"/x/"
          "chain.yaml\"",
          "\"params\":[{\"name\":\"day\",\"type\":\"string\",\"description\":\"\",\"required\":"
          "false,"
          "\"default\":\"monday\"}]",
          "\"task_names\":[\"extract\",\"load\"]", "\"source\":\"weft: 1"}                                                            },
        {"workflows.list",
         NULL,                                                                  {"\"workflows\":[{\"name\":\"chain\"", "\"next_page_token\":\"\""}                     },
        {"runs.get",
         "{\"id\": \"RUN_ID\"}",                                                {"\"id\":\"RUN_ID\",\"workflow\":\"chain\",\"version\":1,\"state\":\"RUNNING\"",
          "\"params\":{\"day\":\"monday\"},\"dir\":\"/x\"",
          "\"attempts\":[{\"number\":1,\"token\":\"",
          "\"reason\":\"\",\"message\":\"\",\"started_at\":\""}                                                                        },
        {"runs.get",
         "{\"id\": \"RUN_ID\", \"page_token\": \"\"}",                          {"\"name\":\"extract\"", "\"name\":\"load\"", "\"next_page_token\":\"\"", "\"seq\":\""}},
        {"runs.get",
         "{\"id\": \"RUN_ID\", \"page_token\": \"TASK_ID\"}",                   {"\"tasks\":[{\"id\":\"", "\"name\":\"load\""}                                         },
        {"runs.get",
         "{\"id\": \"RUN_ID\", \"tasks\": false}",                              {"\"counts\":{\"blocked\":1,\"ready\":0,\"delayed\":0,\"leased\":0,\"running\":1,"}    },
        {"runs.list",
         "{\"state\": \"RUNNING\", \"workflow\": \"chain\", \"page_size\": 1}", {"\"runs\":[{\"id\":\"RUN_ID\"", "\"next_page_token\":\"\""}                           },
        {"runs.list",      "{\"state\": \"FAILED\"}",                           {"\"runs\":[]"}                                                                        },
        {"runs.why",       "{\"id\": \"RUN_ID\"}",                              {"\"state\":\"RUNNING\"", "\"name\":\"load\""}                                         },
        {"tasks.get",
         "{\"run\": \"RUN_ID\", \"name\": \"load\"}",                           {"\"state\":\"BLOCKED\",\"reason\":\"waiting_for_dependencies\"", "\"run\":\"RUN_ID\"",
          "\"priority\":0",
          "\"groups\":[{\"rule\":\"all_success\",\"need\":", "\"from\":[\"extract\"]"}                            },
        {"tasks.get",      "{\"id\": \"TASK_ID\"}",                             {"\"name\":\"extract\"", "\"state\":\"RUNNING\""}                                      },
        {"tasks.why",
         "{\"id\": \"TASK_ID\"}",                                               {"\"name\":\"extract\"", "\"run\":\"RUN_ID\"", "\"text\":\""}                          },
        {"events.list",
         "{\"run\": \"RUN_ID\", \"after\": \"0\", \"max\": 1}",                 {"\"events\":[{\"seq\":\"", "\"kind\":\"run_RUNNING\""}                                },
        {"logs.read",
         "{\"run\": \"RUN_ID\", \"name\": \"extract\"}",                        {"{\"attempt\":1,\"text\":\"\",\"next_offset\":0,\"end\":false}"}                      },
        {"doctor.check",   NULL,                                                {"\"ok\":true,\"checks\":[{\"id\":\"", "\"advice\":\""}                                },
        {"status.get",
         NULL,                                                                  {"\",\"store\":{\"backend\":\"sqlite\",\"url\":\"sqlite:/tmp/", "\"health\":\"healthy\"",
          "\"runs\":{\"RUNNING\":1,\"CANCELLING\":0,",
          "\"state\":\"READY\",\"slots\":3,\"busy\":1,", "\"host\":\"elsewhere\",\"pid\":7"}                                                             },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const char *request = rows[i].request ? fill(f, rows[i].request) : NULL;
        json_t *reply = must(f, rows[i].method, request);
        char *text = json_dumps(reply, JSON_COMPACT);

        for (size_t j = 0; j < ROWS_N(rows[i].wants) && rows[i].wants[j]; j++) {
            const char *want = fill(f, rows[i].wants[j]);

            if (!strstr(text, want))
                fail_msg("%s %s: %s is not in\n%s", rows[i].method, request, want, text);
        }
        free(text);
        json_decref(reply);
    }
}

static void what_is_wrong_is_said_in_a_sentence(void **state)
{
    static const struct {
        const char *method;
        const char *request;
        enum code code;
        const char *text;
    } rows[] = {
        {"runs.lst",      NULL,                                                              CODE_METHOD_NOT_FOUND,   "there is no method \"runs.lst\""           },
        {"runs.get",      NULL,                                                              CODE_INVALID,            "id: it is required"                        },
        {"runs.get",      "[]",                                                              CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": true}",                                                  CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": \"x\"}",                                                 CODE_INVALID,
         "id: \"x\" is no id, which is a string of digits"                                                                                                        },
        {"runs.get",      "{\"id\": \"0\"}",                                                 CODE_INVALID,
         "id: \"0\" is no id, which is a string of digits"                                                                                                        },
        {"runs.get",      "{\"id\": -1}",                                                    CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": \"1\", \"task\": true}",                                 CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": \"1\", \"something\": 1}",                               CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": \"1\", \"tasks\": 1}",                                   CODE_INVALID,            NULL                                        },
        {"runs.get",      "{\"id\": \"1\", \"page_token\": \"x\"}",                          CODE_INVALID,
         "page_token: it is none that weft gave"                                                                                                                  },
        {"runs.get",      "{\"id\": \"999999\"}",                                            CODE_RUN_NOT_FOUND,      "run 999999 does not exist"                 },
        {"runs.list",     "{\"page_size\": 0}",                                              CODE_INVALID,            "page_size: 0 is not within 1 … 1000"     },
        {"runs.list",     "{\"page_size\": 1.5}",                                            CODE_INVALID,            NULL                                        },
        {"runs.list",     "{\"state\": \"running\"}",                                        CODE_INVALID,            NULL                                        },
        {"runs.list",     "{\"workflow\": \"a\\u0000b\"}",                                   CODE_INVALID,            NULL                                        },
        {"workflows.put", "{\"source\": \"weft: 1\", \"format\": \"toml\"}",                 CODE_INVALID,
         "format: \"toml\" is none of yaml and json"                                                                                                              },
        {"workflows.put", "{\"source\": \"weft: 1\"}",                                       CODE_WORKFLOW_INVALID,   NULL                                        },
        {"workflows.get", "{\"name\": \"no\"}",                                              CODE_WORKFLOW_NOT_FOUND, NULL                                        },
        {"runs.start",    "{\"workflow\": \"no\"}",                                          CODE_WORKFLOW_NOT_FOUND, NULL                                        },
        {"runs.start",    "{\"workflow\": \"chain\", \"params\": {\"day\": 1}}",             CODE_INVALID,            NULL                                        },
        {"runs.start",    "{\"workflow\": \"chain\", \"params\": {\"week\": \"1\"}}",
         CODE_PARAM_INVALID,                                                                                          NULL                                        },
        {"tasks.get",     "{\"run\": \"1\"}",                                                CODE_INVALID,
         "a task is named by its id, or by its run and name"                                                                                                      },
        {"tasks.get",     "{\"id\": \"1\", \"name\": \"x\"}",                                CODE_INVALID,
         "a task is named by its id, or by its run and name"                                                                                                      },
        {"tasks.requeue", "{\"id\": \"TASK_ID\"}",                                           CODE_TASK_STATE,         NULL                                        },
        {"logs.read",     "{\"run\": \"RUN_ID\", \"name\": \"load\"}",                       CODE_LOG_NOT_FOUND,
         "task load has not been started"                                                                                                                         },
        {"logs.read",     "{\"run\": \"RUN_ID\", \"name\": \"extract\", \"attempt\": 2}",
         CODE_LOG_NOT_FOUND,                                                                                          "task extract has no attempt 2"             },
        {"logs.read",     "{\"run\": \"RUN_ID\", \"name\": \"extract\", \"stream\": \"x\"}",
         CODE_INVALID,                                                                                                "stream: \"x\" is none of stdout and stderr"},
        {"events.list",   "{\"max\": 100000}",                                               CODE_INVALID,            "max: 100000 is not within 1 … 10000"     },
        {"runs.resume",   "{\"id\": \"RUN_ID\"}",                                            CODE_RUN_HELD,
         "run RUN_ID is carried by the weft with process id 7 on elsewhere; watch it, or cancel "
         "it"                                                                                                                                                     },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const char *request = rows[i].request ? fill(f, rows[i].request) : NULL;
        json_t *r = request ? json_loads(request, JSON_ALLOW_NUL, NULL) : NULL;
        json_t *reply;

        client_problem_clear(&f->problem);
        if (jsoncall(f->methods, &f->loop, rows[i].method, r, &reply, &f->problem) !=
            CLIENT_E_REFUSED)
            fail_msg("%s %s was not refused", rows[i].method, request);
        if (f->problem.code != rows[i].code)
            fail_msg("%s %s: code " STR_FMT ", %s", rows[i].method, request,
                     STR_ARG(code_text(f->problem.code)), f->problem.text);
        if (rows[i].text)
            assert_string_equal(f->problem.text, fill(f, rows[i].text));
        assert_true(strlen(f->problem.text) > 10);
        json_decref(r);
    }
}

static void errors_of_a_workflow_come_all_at_once(void **state)
{
    struct fixture *f = *state;
    json_t *reply = call(f, "workflows.put",
                         "{\"fallback_name\": \"x\", \"source\": \"weft: 1\\nnaem: x\\ntasks: {a: "
                         "{run: [b], needs: [c]}}\"}");

    assert_null(reply);
    assert_int_equal(f->problem.code, CODE_WORKFLOW_INVALID);
    assert_true(json_array_size(f->problem.details) >= 2);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(f->problem.details, 0), "line")), 2);
}

static void a_run_goes_its_way(void **state)
{
    struct fixture *f = *state;
    struct task_result result = {
        .lease = {f->lease.task, f->lease.token},
        .outcome = OUTCOME_FAILED,
        .reason = TASK_REASON_COMMAND_FAILED,
        .exit_code = 3,
        .run_us = 1500000,
        .stderr_tail = STR("oh\n")
    };
    struct task_complete complete = {&result, 1};
    struct task_codes codes;
    struct arena a;
    json_t *reply;
    char *text;

    transact(f, do_complete, &complete, &codes, sizeof(codes), &a);
    assert_int_equal(codes.list[0], CODE_OK);
    arena_deinit(&a);
    reply = must(f, "runs.get", fill(f, "{\"id\": \"RUN_ID\"}"));
    text = json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_non_null(strstr(text, "\"state\":\"FAILED\",\"reason\":\"tasks_failed\""));
    assert_non_null(strstr(text, "\"outcome\":\"failed\",\"reason\":\"command_failed\""));
    assert_non_null(strstr(text, "\"exit_code\":3,\"started_at"));
    assert_non_null(strstr(text, "\"run_time\":\"1.500s\""));
    assert_non_null(strstr(text, "\"stderr_tail\":\"oh\\n\""));
    assert_non_null(strstr(text, "\"state\":\"SKIPPED\""));
    free(text);
    json_decref(reply);
    assert_null(call(f, "runs.cancel", fill(f, "{\"id\": \"RUN_ID\"}")));
    assert_int_equal(f->problem.code, CODE_RUN_ENDED);
    assert_null(call(f, "runs.resume", fill(f, "{\"id\": \"RUN_ID\"}")));
    assert_int_equal(f->problem.code, CODE_RUN_ENDED);
    assert_null(call(f, "runs.resume", NULL));
    assert_int_equal(f->problem.code, CODE_RUN_NOT_FOUND);
    reply = must(f, "status.get", NULL);
    assert_string_equal(json_string_value(json_object_get(reply, "health")), "unhealthy");
    json_decref(reply);
    reply = must(f, "runs.retry", fill(f, "{\"id\": \"RUN_ID\"}"));
    assert_int_equal(json_integer_value(json_object_get(reply, "tasks")), 2);
    assert_string_equal(json_string_value(json_object_get(reply, "state")), "RUNNING");
    json_decref(reply);
    reply = must(f, "runs.cancel", fill(f, "{\"id\": \"RUN_ID\"}"));
    assert_string_equal(json_string_value(json_object_get(reply, "state")), "CANCELLED");
    json_decref(reply);
    reply = must(f, "tasks.requeue", fill(f, "{\"id\": \"TASK_ID\"}"));
    assert_string_equal(json_string_value(json_object_get(reply, "state")), "READY");
    json_decref(reply);
}

/* bytes that are no text are shown as such, and a character is not cut. */
static void a_log_is_read_in_whole_characters(void **state)
{
    struct fixture *f = *state;
    const char *path = logs_path(&f->arena, f->folder, f->run, f->lease.task, 1, LOGS_STDOUT).p;
    json_t *reply;

    assert_int_equal(file_mkdirs(logs_folder(&f->arena, f->folder, f->run).p), 0);
    assert_int_equal(file_write(path, STR("abc\xe2\x82\xac\xff!")), 0);
    reply =
        must(f, "logs.read", fill(f, "{\"run\": \"RUN_ID\", \"name\": \"extract\", \"max\": 5}"));
    assert_string_equal(json_string_value(json_object_get(reply, "text")), "abc");
    assert_int_equal(json_integer_value(json_object_get(reply, "next_offset")), 3);
    assert_false(json_is_true(json_object_get(reply, "end")));
    json_decref(reply);
    reply = must(f, "logs.read",
                 fill(f, "{\"run\": \"RUN_ID\", \"name\": \"extract\", \"offset\": 3}"));
    assert_string_equal(json_string_value(json_object_get(reply, "text")), "€\xef\xbf\xbd!");
    assert_int_equal(json_integer_value(json_object_get(reply, "next_offset")), 8);
    json_decref(reply);
}

static void pages_follow_one_another(void **state)
{
    struct fixture *f = *state;
    const char *token = "";
    int n = 0;

    for (int i = 0; i < 4; i++)
        json_decref(must(f, "runs.start", "{\"workflow\": \"chain\"}"));
    do {
        const char *request =
            str_printf(&f->arena, "{\"page_size\": 2, \"page_token\": \"%s\"}", token).p;
        json_t *reply = must(f, "runs.list", request);

        n += (int)json_array_size(json_object_get(reply, "runs"));
        token = str_cstr(&f->arena,
                         str_of(json_string_value(json_object_get(reply, "next_page_token"))));
        json_decref(reply);
    } while (*token);
    assert_int_equal(n, 5);
}

static void a_password_is_not_shown(void **state)
{
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"sqlite:/a/b@c:d?e",                      "sqlite:/a/b@c:d?e"         },
        {"postgres://host/db",                     "postgres://host/db"        },
        {"postgres://me@host/db",                  "postgres://me@host/db"     },
        {"postgres://me:secret@host:5432/db",      "postgres://me@host:5432/db"},
        {"postgresql://me:secret@host/db",         "postgresql://me@host/db"   },
        {"postgres://host/db?password=secret&x=1", "postgres://host/db"        },
        {"postgres://me:se@cret@host/db",          "postgres://me@host/db"     },
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++)
        assert_string_equal(str_cstr(&a, methods_url(&a, str_of(rows[i].url))), rows[i].want);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_give_what_the_documentation_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said_in_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_of_a_workflow_come_all_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_goes_its_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_is_read_in_whole_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_follow_one_another, set_up, tear_down),
        cmocka_unit_test(a_password_is_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
