/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/duties.h"

#include "base/clock.h"
#include "base/memory.h"
#include "engine/task.h"
#include "store/store_testing.h"

/* Servers on one loop, which share a store. */
struct server {
    uv_loop_t *loop;
    struct hub *hub;
    struct hub_seat *seat;
    struct batcher *writer;
    struct batcher_home *home;
    struct duties *duties;
    bool over;
};

static void server_init(struct server *s, uv_loop_t *loop, const char *url, const char *holder)
{
    struct batcher_options o = {
        .name = "writer", .store = {.url = str_of(url), .mode = STORE_WRITE}
    };
    struct duties_options d = {.loop = loop,
                               .holder = str_of(holder),
                               .ttl_us = 600 * CLOCK_MS,
                               .renew_us = 100 * CLOCK_MS};

    *s = (struct server){.loop = loop};
    s->hub = o.hub = hub_new(NULL);
    assert_int_equal(hub_seat_new(s->hub, loop, &s->seat), 0);
    assert_int_equal(batcher_home_new(loop, &s->home), 0);
    assert_int_equal(batcher_new(&o, &s->writer), 0);
    d.home = s->home;
    d.seat = s->seat;
    d.writer = s->writer;
    duties_new(&d, &s->duties);
}

static void over(void *context)
{
    ((struct server *)context)->over = true;
}

static void server_deinit(struct server *s)
{
    duties_stop(s->duties, over, s);
    while (!s->over)
        uv_run(s->loop, UV_RUN_ONCE);
    batcher_free(s->writer);
    batcher_home_free(s->home);
    hub_seat_free(s->seat);
    uv_run(s->loop, UV_RUN_NOWAIT);
    hub_free(s->hub);
}

static struct duties_stats stats_of(const struct server *s)
{
    struct duties_stats stats;

    duties_stats(s->duties, &stats);
    return stats;
}

static void until_held(struct server *s)
{
    while (!stats_of(s).held)
        uv_run(s->loop, UV_RUN_ONCE);
}

static void another_takes_over(void **state)
{
    struct store_testing *t = store_testing(state);
    struct server a, b;
    uv_loop_t loop;

    uv_loop_init(&loop);
    server_init(&a, &loop, t->url, "a");
    until_held(&a);
    server_init(&b, &loop, t->url, "b");
    while (stats_of(&a).scans < 5)
        uv_run(&loop, UV_RUN_ONCE);
    assert_false(stats_of(&b).held);
    server_deinit(&a);
    until_held(&b);
    server_deinit(&b);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int enqueue(struct tx *tx, const void *request, void *reply)
{
    return task_enqueue(tx, request, reply);
}

/* A delayed task is made READY at its time, between two renewals. */
static void what_is_due_is_promoted_in_time(void **state)
{
    struct store_testing *t = store_testing(state);
    struct task_new task = {.payload = STR("1"), .delay_us = 30 * CLOCK_MS};
    struct task_enqueue request = {.queue = STR("q"), .list = &task, .n = 1};
    struct task_ids ids;
    struct batcher_request q = {.function = enqueue,
                                .request = &request,
                                .reply = &ids,
                                .reply_size = sizeof(ids),
                                .patience_us = BATCHER_CALL_US};
    struct server s;
    uv_loop_t loop;
    int64_t begun;

    uv_loop_init(&loop);
    server_init(&s, &loop, t->url, "a");
    until_held(&s);
    begun = clock_monotonic();
    batcher_call(s.writer, &q);
    assert_int_equal(q.answer.code, CODE_OK);
    while (stats_of(&s).promoted == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(clock_monotonic() - begun >= 30 * CLOCK_MS);
    batcher_release(&q);
    server_deinit(&s);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(another_takes_over),
        STORE_TESTS(what_is_due_is_promoted_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
