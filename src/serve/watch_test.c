/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: what happens to a run, and what its attempts write, on both stores. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/task.h"
#include "serve/calls_testing.h"
#include "serve/logs.h"

/* Streams. */

static const char *start_run(struct calls_testing *c)
{
    calls_testing_ok(c, "workflows.put",
                     "{\"source\": \"weft: 1\\nname: one\\ntasks: {a: {run: [x]}}\"}");
    return calls_testing_field(c, calls_testing_ok(c, "runs.start", "{\"workflow\": \"one\"}"),
                               "id");
}

static void a_run_is_watched_to_its_end(void **state)
{
    struct calls_testing_call watch;
    struct calls_testing c;
    const char *run;

    calls_testing_init(&c, state);
    run = start_run(&c);
    calls_testing_start(&c, &watch, "runs.watch", REQUEST(&c, "{\"id\": \"%s\"}", run));
    calls_testing_wait_messages(&watch, 2);
    HAS(watch.history.p, "\"kind\":\"run_RUNNING\"");
    HAS(watch.history.p, "\"kind\":\"task_READY\"");
    assert_false(watch.done);
    calls_testing_ok(&c, "runs.cancel", REQUEST(&c, "{\"id\": \"%s\"}", run));
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_OK);
    HAS(watch.reply, "\"kind\":\"run_CANCELLED\"");
    calls_testing_end(&watch);
    /* One that has ended is told from its events, and behind the last there is nothing. */
    calls_testing_start(&c, &watch, "runs.watch",
                        REQUEST(&c, "{\"id\": \"%s\", \"after\": \"999999\"}", run));
    calls_testing_wait(&watch);
    assert_int_equal(watch.messages, 0);
    assert_int_equal(watch.call.code, CODE_OK);
    calls_testing_end(&watch);
    calls_testing_deinit(&c);
}

static void a_watcher_may_ask_for_kinds_and_tasks(void **state)
{
    struct calls_testing_call watch;
    struct calls_testing c;
    const char *run;

    calls_testing_init(&c, state);
    run = start_run(&c);
    calls_testing_start(
        &c, &watch, "runs.watch",
        REQUEST(&c, "{\"id\": \"%s\", \"kinds\": [\"run_*\", \"task_CANCELLED\"]}", run));
    calls_testing_wait_messages(&watch, 1);
    calls_testing_ok(&c, "runs.cancel", REQUEST(&c, "{\"id\": \"%s\"}", run));
    calls_testing_wait(&watch);
    HAS(watch.history.p, "\"kind\":\"run_RUNNING\"");
    HAS(watch.history.p, "\"kind\":\"task_CANCELLED\"");
    assert_null(strstr(watch.history.p, "task_READY"));
    HAS(watch.reply, "\"kind\":\"run_CANCELLED\"");
    calls_testing_end(&watch);
    calls_testing_start(&c, &watch, "runs.watch",
                        REQUEST(&c, "{\"id\": \"%s\", \"tasks\": [\"b\"]}", run));
    calls_testing_wait(&watch);
    assert_int_equal(watch.messages, 0);
    calls_testing_end(&watch);
    calls_testing_start(&c, &watch, "runs.watch",
                        REQUEST(&c, "{\"id\": \"%s\", \"tasks\": [\"\"]}", run));
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_INVALID);
    calls_testing_end(&watch);
    calls_testing_deinit(&c);
}

static void who_does_not_pull_gets_no_more(void **state)
{
    struct calls_testing_call watch = {.call.deadline_us = INT64_MAX, .holds = true};
    struct calls_testing c;

    calls_testing_init(&c, state);
    start_run(&c);
    calls_testing_begin(&c, &watch, "runs.watch", "{}");
    calls_testing_wait_messages(&watch, 1);
    calls_testing_settle(&c);
    assert_int_equal(watch.messages, 1);
    watch.call.pull(&watch.call);
    assert_int_equal(watch.messages, 1);
    calls_testing_wait_messages(&watch, 2);
    watch.call.pull(&watch.call);
    watch.call.cancel(&watch.call);
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_CANCELLED);
    calls_testing_end(&watch);
    assert_int_equal(calls_testing_refused(&c, "runs.cancel", "{\"id\": \"77\"}"),
                     CODE_RUN_NOT_FOUND);
    calls_testing_start(&c, &watch, "runs.watch", "{\"id\": \"77\"}");
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_RUN_NOT_FOUND);
    calls_testing_end(&watch);
    calls_testing_deinit(&c);
}

#define CROWD 60

/* One in three wants the run's own events alone, and none misses or hears one twice. */
static void those_who_watch_the_same_share_their_reads(void **state)
{
    struct calls_testing_call *crowd = memory_new(CROWD * sizeof(*crowd));
    struct calls_testing_call alone;
    struct batcher_stats before, after;
    struct calls_testing c;
    const char *run;

    calls_testing_init(&c, state);
    run = start_run(&c);
    for (size_t i = 0; i < CROWD; i++)
        calls_testing_start(
            &c, &crowd[i], "runs.watch",
            REQUEST(&c, "{\"id\": \"%s\"%s}", run, i % 3 ? "" : ", \"kinds\": [\"run_*\"]"));
    for (size_t i = 0; i < CROWD; i++)
        calls_testing_wait_messages(&crowd[i], i % 3 ? 2 : 1);
    calls_testing_settle(&c);
    batcher_stats(c.house.reader, &before);
    calls_testing_ok(&c, "runs.cancel", REQUEST(&c, "{\"id\": \"%s\"}", run));
    for (size_t i = 0; i < CROWD; i++)
        calls_testing_wait(&crowd[i]);
    batcher_stats(c.house.reader, &after);
    assert_in_range(after.requests - before.requests, 1, CROWD / 4);
    /* As one hears it who comes when all is over. */
    for (size_t i = 0; i < 2; i++) {
        calls_testing_start(
            &c, &alone, "runs.watch",
            REQUEST(&c, "{\"id\": \"%s\"%s}", run, i ? "" : ", \"kinds\": [\"run_*\"]"));
        calls_testing_wait(&alone);
        for (size_t n = 0; n < CROWD; n++)
            if (!(n % 3) == !i)
                assert_string_equal(crowd[n].history.p, alone.history.p);
        calls_testing_end(&alone);
    }
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].call.code, CODE_OK);
        calls_testing_end(&crowd[i]);
    }
    free(crowd);
    calls_testing_deinit(&c);
}

/* The one that reads for all goes before the answer; and of those that watch, one does not read. */
static void who_shares_outlives_who_leaves(void **state)
{
    struct calls_testing_call crowd[3] = {0};
    struct calls_testing c;
    const char *run;

    calls_testing_init(&c, state);
    run = start_run(&c);
    for (size_t i = 0; i < 3; i++) {
        crowd[i].call.deadline_us = INT64_MAX;
        crowd[i].holds = i == 2;
        calls_testing_begin(&c, &crowd[i], "runs.watch", REQUEST(&c, "{\"id\": \"%s\"}", run));
    }
    crowd[0].call.cancel(&crowd[0].call);
    calls_testing_wait(&crowd[0]);
    assert_int_equal(crowd[0].call.code, CODE_CANCELLED);
    calls_testing_wait_messages(&crowd[1], 2);
    calls_testing_wait_messages(&crowd[2], 1);
    calls_testing_ok(&c, "runs.cancel", REQUEST(&c, "{\"id\": \"%s\"}", run));
    calls_testing_wait(&crowd[1]);
    assert_int_equal(crowd[1].call.code, CODE_OK);
    assert_int_equal(crowd[2].messages, 1);
    while (!crowd[2].done) {
        size_t n = crowd[2].messages;

        crowd[2].call.pull(&crowd[2].call);
        while (!crowd[2].done && crowd[2].messages == n)
            uv_run(&c.loop, UV_RUN_ONCE);
    }
    assert_string_equal(crowd[2].history.p, crowd[1].history.p);
    for (size_t i = 0; i < 3; i++)
        calls_testing_end(&crowd[i]);
    calls_testing_deinit(&c);
}

/* The client goes in the turn of the loop in which there are news. */
static void who_is_woken_as_it_leaves_hears_no_more(void **state)
{
    struct calls_testing_call watch;
    struct calls_testing c;
    const char *run;

    calls_testing_init(&c, state);
    run = start_run(&c);
    calls_testing_start(&c, &watch, "runs.watch", REQUEST(&c, "{\"id\": \"%s\"}", run));
    calls_testing_wait_messages(&watch, 2);
    /* Behind these reads it has looked, and sleeps. */
    for (size_t i = 0; i < 2; i++)
        calls_testing_ok(&c, "runs.get", REQUEST(&c, "{\"id\": \"%s\"}", run));
    watch.call.cancel(&watch.call);
    hub_all(c.hub);
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_CANCELLED);
    calls_testing_end(&watch);
    calls_testing_settle(&c);
    calls_testing_deinit(&c);
}

BATCHER_FUNCTION(do_register, worker_register)
BATCHER_FUNCTION(do_claim, task_claim)

/* The task of a run, held by the worker of another program. */
static struct task_lease hold(struct calls_testing *c, int64_t run)
{
    struct worker_register join = {.name = STR("w"),
                                   .kind = STR("local"),
                                   .host = STR("h"),
                                   .boot = STR("b"),
                                   .site = STR("s"),
                                   .slots = 1,
                                   .ttl_us = 60 * CLOCK_S,
                                   .run = run};
    struct task_claim claim = {.run = run, .max = 1};
    struct task_leases leases;
    struct worker_row w;
    struct api api = {.arena = &c->arena, .house = &c->house};

    assert_int_equal(api_transact(&api, c->house.writer, do_register, &join, &w, sizeof(w)), 0);
    claim.worker = w.incarnation;
    assert_int_equal(api_transact(&api, c->house.writer, do_claim, &claim, &leases, sizeof(leases)),
                     0);
    assert_int_equal(leases.n, 1);
    return leases.list[0];
}

static void a_log_is_followed_while_it_is_written(void **state)
{
    struct calls_testing_call watch;
    struct calls_testing c;
    struct task_lease lease;
    const char *run, *path;
    int64_t id;

    calls_testing_init(&c, state);
    run = start_run(&c);
    assert_true(str_int64(str_of(run), &id));
    lease = hold(&c, id);
    calls_testing_start(&c, &watch, "logs.watch",
                        REQUEST(&c, "{\"run\": \"%s\", \"name\": \"a\"}", run));
    calls_testing_settle(&c);
    path = logs_path(&c.arena, c.house.data, id, lease.task, 1, LOGS_STDOUT).p;
    assert_int_equal(file_mkdirs(logs_folder(&c.arena, c.house.data, id).p), 0);
    assert_int_equal(file_write(path, STR("one\n")), 0);
    calls_testing_wait_messages(&watch, 1);
    HAS(watch.reply, "\"text\":\"one\\n\"");
    assert_int_equal(file_write(path, STR("one\ntwo\n")), 0);
    calls_testing_wait_messages(&watch, 2);
    HAS(watch.reply, "\"text\":\"two\\n\",\"next_offset\":8");
    calls_testing_complete(&c, REQUEST(&c, "%" PRId64 ".%" PRId64, lease.task, lease.token),
                           "\"outcome\": \"succeeded\"");
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_OK);
    calls_testing_end(&watch);
    calls_testing_start(&c, &watch, "logs.watch",
                        REQUEST(&c, "{\"run\": \"%s\", \"name\": \"b\"}", run));
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_TASK_NOT_FOUND);
    calls_testing_end(&watch);
    calls_testing_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(a_run_is_watched_to_its_end),
        STORE_TESTS(a_watcher_may_ask_for_kinds_and_tasks),
        STORE_TESTS(who_does_not_pull_gets_no_more),
        STORE_TESTS(those_who_watch_the_same_share_their_reads),
        STORE_TESTS(who_shares_outlives_who_leaves),
        STORE_TESTS(who_is_woken_as_it_leaves_hears_no_more),
        STORE_TESTS(a_log_is_followed_while_it_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
