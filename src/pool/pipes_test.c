/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of real processes: test/pool/child.py, which does what it is asked to, however bad.
 */
#include "pool/pipes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "work/instance.h"
#include "work/work_testing.h"

#define WAIT_MS   60000
#define CALLS_MAX 16u
#define BIG_BYTES (700u << 10) /* far more than a pipe holds */

struct world {
    struct testing *t;
    struct nursery *nursery;
    struct pipes *pipes;
    struct pool *pool;
    struct pool_settings settings;
    const char *mode;
    char child[400];
    bool over;
};

struct call {
    struct pool_call call;
    bool done;
    enum code code;
    bool failed;
    unsigned chunks;
    size_t value_n;
    char value[300]; /* the answer's value, or its text */
};

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing more happened for %d s", WAIT_MS / 1000);
}

static void turn(struct world *w)
{
    uv_timer_start(&w->t->watchdog, on_watchdog, WAIT_MS, 0);
    uv_run(&w->t->loop, UV_RUN_ONCE);
    uv_timer_stop(&w->t->watchdog);
    if (w->pool)
        pool_check(w->pool);
}

static struct pool_counts counts(struct world *w)
{
    struct pool_counts c;

    pool_counts(w->pool, &c);
    return c;
}

static void on_over(void *context)
{
    struct world *w = context;

    w->over = true;
    uv_stop(&w->t->loop);
}

static void command_of(struct world *w, const char *const *argv, struct pipes_command *ret)
{
    static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};

    *ret = (struct pipes_command){
        .argv = argv,
        .env = env,
        .cwd = w->t->folder,
        .log_folder = w->t->folder,
        .grace_us = 300 * CLOCK_MS,
    };
}

/* Settings that a case wants otherwise are set before; `argv` NULL: the child. */
static void begin_with(struct world *w, unsigned size, const char *const *argv)
{
    const char *const child[] = {"python3", "-S", "-E", w->child, w->mode, NULL};
    struct pipes_options o = {
        .loop = &w->t->loop,
        .nursery = w->nursery,
        .seed = 1,
        .over = on_over,
        .context = w,
    };

    w->settings.name = STR("p");
    w->settings.size = w->settings.start_batch = size;
    o.settings = w->settings;
    command_of(w, argv ? argv : child, &o.command);
    w->pipes = pipes_new(&o);
    w->pool = pipes_pool(w->pipes);
}

static void prepare(struct world *w, void **state)
{
    *w = (struct world){.t = testing_of(state), .mode = ""};
    w->nursery = nursery_new(&w->t->loop);
    w->settings = pool_default(1);
    w->settings.overflow = 0;
    w->settings.queue_wait_us = 60 * CLOCK_S;
    snprintf(w->child, sizeof(w->child), "%s/test/pool/child.py", getenv("WEFT_SOURCE"));
}

static void prepare_here(struct world *w, void **state)
{
    prepare(w, state);
    nursery_open(w->nursery, &w->t->loop, w->t->ex, TESTING_SLOTS);
}

static void ready(struct world *w, unsigned n)
{
    while (counts(w).states[WORKER_READY] != n)
        turn(w);
}

static void end_pool(struct world *w)
{
    pool_drain(w->pool, 0, clock_monotonic());
    while (!w->over)
        turn(w);
    w->pipes = pipes_free(w->pipes);
    w->pool = NULL;
}

/* Whatever it did, nothing of it is left. */
static void end(struct world *w)
{
    end_pool(w);
    nursery_close(w->nursery);
    w->nursery = nursery_free(w->nursery);
    uv_run(&w->t->loop, UV_RUN_NOWAIT);
    assert_int_equal(testing_marked(guardian_instance(w->t->guardian)->name), 0);
    while (testing_zombies() > 0) /* orphans: dead, and waited for in a moment */
        turn(w);
}

static void on_chunk(struct pool_call *c, struct str value)
{
    (void)value;
    ((struct call *)c->context)->chunks++;
}

static void on_done(struct pool_call *c, const struct pool_answer *a)
{
    struct call *call = c->context;
    struct str text = a->code == CODE_OK ? a->value : a->text;

    assert_false(call->done);
    call->done = true;
    call->code = a->code;
    call->failed = a->failed;
    call->value_n = text.n;
    snprintf(call->value, sizeof(call->value), "%.*s", (int)(text.n < 299 ? text.n : 299), text.p);
}

static void ask(struct world *w, struct call *c, const char *command, struct str args)
{
    struct pool_answer refusal;

    *c = (struct call){.code = CODE_OK};
    c->call = (struct pool_call){
        .command = str_of(command),
        .args = args,
        .deadline_us = INT64_MAX,
        .chunk = on_chunk,
        .done = on_done,
        .context = c,
    };
    if (!pool_call(w->pool, &c->call, clock_monotonic(), &refusal))
        on_done(&c->call, &refusal);
}

static struct call run(struct world *w, const char *command, const char *args)
{
    struct call c;

    ask(w, &c, command, str_of(args));
    while (!c.done)
        turn(w);
    return c;
}

static void check_echo(struct world *w)
{
    struct call c = run(w, "echo", "{\"a\":[1,2]}");

    assert_string_equal(c.value, "{\"a\": [1, 2]}");
}

static void look(void *context, const struct pool_look *l)
{
    *(struct pool_look *)context = *l;
}

static void a_process_is_ready_and_answers_E_06_E_11(void **state)
{
    struct pool_look l = {0};
    struct world w;

    prepare_here(&w, state);
    begin_with(&w, 1, NULL);
    ready(&w, 1);
    pool_each(w.pool, clock_monotonic(), look, &l);
    assert_int_equal(l.id, 1);
    assert_int_equal(l.state, WORKER_READY);
    check_echo(&w);
    assert_string_equal(run(&w, "echo", "\"prog_1\"").value, "\"prog_1\"");
    assert_true(run(&w, "fail", "").failed);
    assert_int_equal(run(&w, "count", "1000").chunks, 1000);
    end(&w);
}

static void what_cannot_be_started_is_told_and_the_pool_goes_on_E_07(void **state)
{
    static const char *const missing[] = {"no-such-worker", NULL};
    struct pipes_command command;
    struct world w;
    struct call c;

    prepare_here(&w, state);
    begin_with(&w, 1, missing);
    c = run(&w, "echo", "1");
    assert_int_equal(c.code, CODE_WORKER_INIT_FAILED);
    assert_non_null(strstr(c.value, "\"no-such-worker\" was not found in PATH"));
    command_of(&w, (const char *const[]){"python3", "-S", "-E", w.child, NULL}, &command);
    pipes_set(w.pipes, &w.settings, &command, false);
    ready(&w, 1);
    check_echo(&w);
    end(&w);
}

static void why_it_does_not_become_ready_is_its_last_line_E_07(void **state)
{
    struct world w;
    struct call c;

    prepare_here(&w, state);
    w.mode = "exit";
    begin_with(&w, 1, NULL);
    c = run(&w, "echo", "1");
    assert_int_equal(c.code, CODE_WORKER_INIT_FAILED);
    assert_non_null(strstr(c.value, "it ended with exit code 1: it has no model"));
    end(&w);
}

static void ten_calls_get_their_own_answers_E_13(void **state)
{
    struct call calls[10];
    char args[10][8];
    struct world w;

    prepare_here(&w, state);
    w.mode = "many";
    w.settings.in_flight = 10;
    begin_with(&w, 1, NULL);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(args[i], sizeof(args[i]), "%u", 100 + i);
        ask(&w, &calls[i], "hold", str_of(args[i]));
    }
    for (unsigned i = 0; i < 10; i++) {
        while (!calls[i].done)
            turn(&w);
        assert_string_equal(calls[i].value, args[i]);
    }
    end(&w);
}

static void a_process_that_fails_is_told_why_and_replaced(void **state)
{
    static const struct row {
        const char *command;
        enum code code;
        const char *text;
    } rows[] = {
        {"exit",  CODE_WORKER_LOST,  "it ended with exit code 3: out of paper"      },
        {"kill",  CODE_WORKER_LOST,  "it was killed by signal 9 (SIGKILL)"          },
        {"text",  CODE_WORKER_LOST,  "it printed text to stdout"                    },
        {"huge",  CODE_WORKER_LOST,  "it announced a frame of 4294967295 bytes"     },
        {"close", CODE_WORKER_LOST,  "it closed its stdout, on which its answers go"},
        {"twice", CODE_OK,           "1"                                            },
        {"half",  CODE_CALL_TIMEOUT, ""                                             },
        {"hang",  CODE_CALL_TIMEOUT, ""                                             },
    };
    struct world w;

    prepare_here(&w, state);
    w.settings.call_us = 2 * CLOCK_S;
    w.settings.suspect_us = 50 * CLOCK_MS;
    begin_with(&w, 1, NULL);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct call c = run(&w, rows[i].command, "");

        CHECK_ROW(rows[i].command, c.code == rows[i].code);
        CHECK_ROW(rows[i].command, strstr(c.value, rows[i].text));
        while (counts(&w).lost < (int64_t)i + 1)
            turn(&w);
        check_echo(&w);
    }
    assert_int_equal(counts(&w).started, ROWS_N(rows) + 1);
    end(&w);
}

static void nothing_survives_that_does_not_want_to_end(void **state)
{
    struct world w;

    prepare_here(&w, state);
    w.mode = "stubborn";
    begin_with(&w, 2, NULL);
    ready(&w, 2);
    run(&w, "breed", "");
    run(&w, "breed", "");
    end(&w);
}

static void a_child_of_a_lost_process_dies_with_it(void **state)
{
    struct world w;

    prepare_here(&w, state);
    begin_with(&w, 1, NULL);
    run(&w, "breed", "");
    assert_int_equal(run(&w, "kill", "").code, CODE_WORKER_LOST);
    check_echo(&w);
    assert_int_equal(testing_marked(guardian_instance(w.t->guardian)->name), 1);
    end(&w);
}

static void large_messages_pass_in_pieces(void **state)
{
    CLEANUP(memory_freep) char *text = memory_new(BIG_BYTES);
    struct call c;
    struct world w;

    prepare_here(&w, state);
    begin_with(&w, 1, NULL);
    memset(text, 'x', BIG_BYTES);
    text[0] = text[BIG_BYTES - 1] = '"';
    ask(&w, &c, "echo", (struct str){text, BIG_BYTES});
    while (!c.done)
        turn(&w);
    assert_int_equal(c.code, CODE_OK);
    assert_int_equal(c.value_n, BIG_BYTES);
    check_echo(&w);
    end(&w);
}

static void who_does_not_read_is_given_up_with_what_it_was_sent(void **state)
{
    CLEANUP(memory_freep) char *text = memory_new(BIG_BYTES);
    struct call hang, c;
    struct world w;

    prepare_here(&w, state);
    w.mode = "many";
    w.settings.in_flight = 2;
    w.settings.call_us = 300 * CLOCK_MS;
    w.settings.suspect_us = 50 * CLOCK_MS;
    begin_with(&w, 1, NULL);
    ready(&w, 1);
    memset(text, 'x', BIG_BYTES);
    text[0] = text[BIG_BYTES - 1] = '"';
    ask(&w, &hang, "hang", STR(""));
    ask(&w, &c, "echo", (struct str){text, BIG_BYTES});
    while (!hang.done || !c.done)
        turn(&w);
    assert_int_equal(hang.code, CODE_CALL_TIMEOUT);
    check_echo(&w);
    end(&w);
}

static void who_takes_too_much_memory_is_ended(void **state)
{
    struct world w;

    prepare_here(&w, state);
    w.settings.memory_limit_bytes = 100 << 20;
    begin_with(&w, 1, NULL);
    run(&w, "eat", "200");
    while (counts(&w).lost == 0)
        turn(&w);
    check_echo(&w);
    end(&w);
}

static void ten_thousand_calls_leave_nothing_behind(void **state)
{
    struct call calls[CALLS_MAX];
    unsigned fds, children, asked = CALLS_MAX;
    struct world w;

    prepare_here(&w, state);
    begin_with(&w, 2, NULL);
    ready(&w, 2); /* slots that have had a job keep their cgroups */
    end_pool(&w);
    uv_run(&w.t->loop, UV_RUN_NOWAIT);
    fds = testing_fds();
    children = testing_children();
    w.over = false;
    begin_with(&w, 2, NULL);
    for (unsigned i = 0; i < CALLS_MAX; i++)
        ask(&w, &calls[i], "echo", STR("7"));
    while (asked < 10000) {
        turn(&w);
        for (unsigned i = 0; i < CALLS_MAX; i++) {
            if (!calls[i].done)
                continue;
            assert_string_equal(calls[i].value, "7");
            ask(&w, &calls[i], "echo", STR("7"));
            asked++;
        }
    }
    for (unsigned i = 0; i < CALLS_MAX; i++)
        while (!calls[i].done)
            turn(&w);
    end_pool(&w);
    uv_run(&w.t->loop, UV_RUN_NOWAIT);
    assert_int_equal(testing_fds(), fds);
    assert_int_equal(testing_children(), children);
    w.over = false;
    begin_with(&w, 1, NULL);
    end(&w);
}

/* As in the server: the executor on a thread and loop of its own. */
struct elsewhere {
    struct world *w;
    uv_loop_t loop;
    uv_async_t end;
    pthread_t thread;
};

static void on_end(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void *elsewhere(void *context)
{
    struct elsewhere *e = context;
    struct executor_options o = {
        .loop = &e->loop,
        .slots = 8,
        .guardian = e->w->t->guardian,
    };
    struct executor *executor;

    if (executor_new(&o, &executor))
        return e;
    nursery_open(e->w->nursery, &e->loop, executor, 8);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    nursery_close(e->w->nursery);
    executor_free(executor);
    uv_close((uv_handle_t *)&e->end, NULL);
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&e->loop) ? e : NULL;
}

static void the_executor_may_be_elsewhere(void **state)
{
    struct elsewhere e = {0};
    struct world w;
    void *failed;

    prepare(&w, state);
    w.t->ex = executor_free(w.t->ex); /* there is one of a process */
    uv_run(&w.t->loop, UV_RUN_NOWAIT);
    e.w = &w;
    uv_loop_init(&e.loop);
    uv_async_init(&e.loop, &e.end, on_end);
    begin_with(&w, 2, NULL);
    pthread_create(&e.thread, NULL, elsewhere, &e);
    ready(&w, 2);
    check_echo(&w);
    assert_int_equal(run(&w, "kill", "").code, CODE_WORKER_LOST);
    ready(&w, 2);
    check_echo(&w);
    end_pool(&w);
    uv_async_send(&e.end);
    pthread_join(e.thread, &failed);
    assert_null(failed);
    w.nursery = nursery_free(w.nursery);
    assert_int_equal(executor_new(&(struct executor_options){.loop = &w.t->loop,
                                                             .slots = TESTING_SLOTS,
                                                             .guardian = w.t->guardian},
                                  &w.t->ex),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTING_BOTH(a_process_is_ready_and_answers_E_06_E_11),
        TESTING_BOTH(what_cannot_be_started_is_told_and_the_pool_goes_on_E_07),
        TESTING_BOTH(why_it_does_not_become_ready_is_its_last_line_E_07),
        TESTING_BOTH(ten_calls_get_their_own_answers_E_13),
        TESTING_BOTH(a_process_that_fails_is_told_why_and_replaced),
        TESTING_BOTH(nothing_survives_that_does_not_want_to_end),
        TESTING_BOTH(a_child_of_a_lost_process_dies_with_it),
        TESTING_BOTH(large_messages_pass_in_pieces),
        TESTING_BOTH(who_does_not_read_is_given_up_with_what_it_was_sent),
        TESTING_BOTH(who_takes_too_much_memory_is_ended),
        TESTING_BOTH(ten_thousand_calls_leave_nothing_behind),
        TESTING_BOTH(the_executor_may_be_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
