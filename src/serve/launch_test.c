/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

#define ROWS_N(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct task_lease lease = {
    .task = 20, .run = 3, .token = 77, .attempt = 2, .name = {"load", 4}
};

static const char *const parent_env[] = {"HOME=/root",   "PATH=/bin",    "WEFT_TASK=outer",
                                         "WEFT_OUTPUT=", "WEFT_DATA=/d", NULL};

/* The job as one line: argv, then what the environment has beside the parent's, then the folder. */
static const char *show(struct arena *a, const struct job *job)
{
    struct buf b;
    const char *out;

    buf_init(&b, 1 << 20);
    for (size_t i = 0; job->argv[i]; i++)
        buf_printf(&b, "%s'%s'", i ? " " : "", job->argv[i]);
    buf_add(&b, STR(" |"));
    for (size_t i = 0; job->env[i]; i++) {
        if (strncmp(job->env[i], "WEFT_", 5) != 0)
            buf_printf(&b, " %s", job->env[i]);
    }
    buf_printf(&b, " | %s", job->cwd);
    out = str_cstr(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static void a_payload_becomes_a_process(void **state)
{
    static const struct {
        const char *name, *payload;
        const char *want; /* the job, or the sentence */
        int r;
    } rows[] = {
        {"plain",                      "{\"argv\":[\"a\",\"b c\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1}",
         "'a' 'b c' | HOME=/root PATH=/bin | /dir",                                                                                                                                    0                    },
        {"env",
         "{\"argv\":[\"a\"],\"cwd\":\"x\",\"env\":[[\"HOME\",\"/"
         "h\"],[\"N\",\"1=2\"]],\"grace_us\":1}",                                                           "'a' | HOME=/h PATH=/bin N=1=2 | /dir/x",                                  0                    },
        {"a name that begins another",
         "{\"argv\":[\"a\"],\"cwd\":\"/x\",\"env\":[[\"HO\",\"\"]],\"grace_us\":1}",                        "'a' | HOME=/root PATH=/bin HO= | /x",                                     0                    },
        {"nothing is replaced",
         "{\"argv\":[\"${task.attempt}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1}",                         "'${task.attempt}' | HOME=/root PATH=/bin | /dir",                         0                    },
        {"the attempt",
         "{\"argv\":[\"${task.attempt}$${x}\"],\"cwd\":\"${task.attempt}\",\"env\":[[\"A\",\"${run."
         "id}\"]],\"grace_us\":1,\"refers\":true}",                                                         "'2${x}' | HOME=/root PATH=/bin A=3 | /dir/2",                             0                    },
        {"outputs",
         "{\"argv\":[\"${tasks.a.output.n}\",\"${tasks.a.output.s}\",\"${tasks.a.output.l.1}\",\"${"
         "tasks.a.output.o}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1,\"refers\":true}",                    "'1' 'x y' 'two' '{\"k\":[true,null,0.5]}' | HOME=/root PATH=/bin | /dir", 0                    },
        {"all of an output",
         "{\"argv\":[\"${tasks.b.output}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1,\"refers\":"
         "true}",                                                                                           "'{\"z\":\"\xc3\xbc\"}' | HOME=/root PATH=/bin | /dir",                    0                    },
        {"a field that is not there",
         "{\"argv\":[\"${tasks.a.output.no.x}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1,\"refers\":"
         "true}",                                                                                           "${tasks.a.output.no.x}: the task's output has no such field",             TASK_REASON_REFERENCE},
        {"past the end",
         "{\"argv\":[\"${tasks.a.output.l.2}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1,\"refers\":"
         "true}",                                                                                           "${tasks.a.output.l.2}: the task's output has no such field",              TASK_REASON_REFERENCE},
        {"no output",
         "{\"argv\":[\"a\"],\"cwd\":\"\",\"env\":[[\"A\",\"${tasks.none.output}\"]],\"grace_us\":1,"
         "\"refers\":true}",                                                                                "${tasks.none.output}: the task has no output",                            TASK_REASON_REFERENCE},
    };
    static const struct {
        const char *name, *output;
    } outputs[] = {
        {"a", "{\"n\":1,\"s\":\"x y\",\"l\":[\"one\",\"two\"],\"o\":{\"k\":[true,null,0.5]}}"},
        {"b", "{\"z\":\"\xc3\xbc\"}"                                                         },
    };
    struct launch_base base;
    struct arena a = {0};

    (void)state;
    launch_base_init(&base, parent_env, "/data");
    base.scratch = "/data/tmp/9";
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        enum task_reason reason = TASK_REASON_NONE;
        struct str texts[4] = {0}, error = {0};
        struct launch l;
        struct job job;
        const char *found;

        if (launch_read(&a, str_of(rows[i].payload), &l, &error))
            fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(error));
        for (size_t j = 0; j < l.names_n; j++)
            for (size_t k = 0; k < ROWS_N(outputs); k++)
                if (str_eq(l.names[j], str_of(outputs[k].name)))
                    texts[j] = str_of(outputs[k].output);
        launch_outputs(&a, &l, texts);
        found = launch_job(&a, &l, &base, "/dir", &lease, &job, &reason, &error)
                    ? str_cstr(&a, error)
                    : show(&a, &job);
        if (strcmp(found, rows[i].want) != 0 || (int)reason != rows[i].r)
            fail_msg("%s\n   found %s\n  wanted %s", rows[i].name, found, rows[i].want);
        launch_deinit(&l);
    }
    arena_deinit(&a);
    launch_base_deinit(&base);
}

static void a_damaged_payload_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "{",
        "{}",
        "{\"argv\":[],\"cwd\":\"\",\"env\":[],\"grace_us\":1}",
        "{\"argv\":[1],\"cwd\":\"\",\"env\":[],\"grace_us\":1}",
        "{\"argv\":\"a\",\"cwd\":\"\",\"env\":[],\"grace_us\":1}",
        "{\"argv\":[\"a\"],\"env\":[],\"grace_us\":1}",
        "{\"argv\":[\"a\"],\"cwd\":\"\",\"env\":{},\"grace_us\":1}",
        "{\"argv\":[\"a\"],\"cwd\":\"\",\"env\":[[\"A\"]],\"grace_us\":1}",
        "{\"argv\":[\"a\"],\"cwd\":\"\",\"env\":[]}",
        "{\"argv\":[\"a\\u0000b\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1}",
        "{\"argv\":[\"${nothing}\"],\"cwd\":\"\",\"env\":[],\"grace_us\":1,\"refers\":true}",
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct str error = {0};
        struct launch l;

        if (!launch_read(&a, str_of(rows[i]), &l, &error) || error.n < 10)
            fail_msg("%s was taken", rows[i]);
        launch_deinit(&l);
    }
    arena_deinit(&a);
}

static void an_attempt_gets_its_own_variables_and_files(void **state)
{
    static const char *const wants[] = {
        "WEFT_RUN_ID=3",
        "WEFT_TASK=load",
        "WEFT_ATTEMPT=2",
        "WEFT_TOKEN=77",
        "WEFT_DEADLINE=2001-09-09T01:46:40.000000Z",
        "WEFT_OUTPUT=/data/tmp/9/77.output",
        "WEFT_PROGRESS=/data/tmp/9/77.progress",
        "WEFT_DATA=/d", /* of the parent */
    };
    struct task_lease with_deadline = lease;
    struct launch_base base;
    struct arena a = {0};
    enum task_reason reason;
    struct launch l;
    struct str error;
    struct job job;
    size_t n = 0;

    (void)state;
    with_deadline.deadline_at = 1000000000LL * 1000000;
    launch_base_init(&base, parent_env, "/data");
    base.scratch = "/data/tmp/9";
    assert_int_equal(launch_read(&a,
                                 STR("{\"argv\":[\"a\"],\"cwd\":\"\",\"env\":[],\"grace_us\":5}"),
                                 &l, &error),
                     0);
    assert_int_equal(launch_job(&a, &l, &base, "/dir", &with_deadline, &job, &reason, &error), 0);
    for (size_t i = 0; job.env[i]; i++) {
        for (size_t j = 0; j < ROWS_N(wants); j++)
            n += strcmp(job.env[i], wants[j]) == 0;
    }
    assert_int_equal(n, ROWS_N(wants));
    assert_int_equal(job.token, 77);
    assert_int_equal(job.grace_us, 5);
    assert_string_equal(job.out_path, "/data/logs/3/20.2.out");
    assert_string_equal(job.err_path, "/data/logs/3/20.2.err");
    launch_deinit(&l);
    arena_deinit(&a);
    launch_base_deinit(&base);
}

static void too_much_text_for_a_process_is_refused(void **state)
{
    struct launch_base base;
    struct arena a = {0};
    enum task_reason reason;
    struct launch l;
    struct str error;
    struct job job;
    struct buf b;

    (void)state;
    buf_init(&b, 8 << 20);
    buf_add(&b, STR("{\"cwd\":\"\",\"env\":[],\"grace_us\":5,\"argv\":[\"a\""));
    for (size_t i = 0; i < 5000; i++)
        buf_printf(&b, ",\"%01000d\"", 7);
    buf_add(&b, STR("]}"));
    launch_base_init(&base, parent_env, "/data");
    assert_int_equal(launch_read(&a, buf_str(&b), &l, &error), 0);
    assert_int_equal(launch_job(&a, &l, &base, "/dir", &lease, &job, &reason, &error),
                     LAUNCH_E_BAD);
    assert_int_equal(reason, TASK_REASON_SPAWN_FAILED);
    launch_deinit(&l);
    buf_deinit(&b);
    arena_deinit(&a);
    launch_base_deinit(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_becomes_a_process),
        cmocka_unit_test(a_damaged_payload_is_refused),
        cmocka_unit_test(an_attempt_gets_its_own_variables_and_files),
        cmocka_unit_test(too_much_text_for_a_process_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
