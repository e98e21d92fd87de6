/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/bridge.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "store/store_testing.h"

static void a_message_is_read_as_it_was_written(void **state)
{
    static const struct hub_news rows[] = {
        {.topic = HUB_QUEUE,    .queue = {"mail", 4}, .n = 12},
        {.topic = HUB_QUEUE,                     .queue = {"a b:\n'", 6},                        .n = HUB_ALL},
        {.topic = HUB_QUEUE,         .queue = {"held", 4},      .n = 3, .freed = true},
        {.topic = HUB_RUNS,.n = HUB_ALL },
        {.topic = HUB_RUN_EVENTS,                     .run = 77,                         .n = HUB_ALL},
        {.topic = HUB_DELAYED,                     .n = HUB_ALL                 },
        {.topic = HUB_PUSH,         .n = HUB_ALL    },
        {.topic = HUB_EVENTS,.n = HUB_ALL},
    };
    char room[4096];
    struct str text;
    struct buf out;

    (void)state;
    buf_fixed(&out, room, sizeof(room));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        bridge_write(&out, &rows[i]);
    text = buf_str(&out);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hub_news news;

        assert_true(bridge_read(&text, &news));
        if (news.topic != rows[i].topic || news.n != rows[i].n || news.run != rows[i].run ||
            news.freed != rows[i].freed || !str_eq(news.queue, rows[i].queue))
            fail_msg("row %zu", i);
    }
    assert_int_equal(text.n, 0);
}

static void what_is_not_understood_is_refused(void **state)
{
    static const char *const rows[] = {"",        "*",      "q",         "q1",       "q1 4:mai\n",
                                       "q1 4:ma", "q1 -1:", "q1 99:x\n", "qx 1:a\n", "r\n",
                                       "rx\n",    "t",      "e x",       "z1\n",     "q1 4:mailx"};
    struct hub_news news;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str text = str_of(rows[i]);

        if (bridge_read(&text, &news))
            fail_msg("\"%s\"", rows[i]);
    }
}

/* Two programs: each a hub, a seat, somebody who waits, and a bridge. */
struct side {
    uv_loop_t loop;
    struct hub *hub;
    struct bridge *bridge;
    struct hub_wait wait;
    int woken;
};

static void woken(struct hub_wait *w)
{
    ((struct side *)w->context)->woken++;
}

static void sleep_again(struct side *s)
{
    hub_look(&s->wait);
    hub_sleep(&s->wait, NULL);
}

static void side_init(struct side *s, const char *url)
{
    struct bridge_options o = {.url = str_of(url)};

    *s = (struct side){0};
    uv_loop_init(&s->loop);
    s->hub = o.hub = hub_new(&(struct hub_options){.net_us = 1000 * CLOCK_S});
    s->wait = (struct hub_wait){.queue = STR("mail"), .want = 1, .woken = woken, .context = s};
    assert_int_equal(hub_seat_new(s->hub, &s->loop, &s->wait.seat), 0);
    assert_int_equal(bridge_new(&o, &s->bridge), 0);
}

static void side_deinit(struct side *s)
{
    s->bridge = bridge_free(s->bridge);
    hub_forget(&s->wait, 0);
    hub_seat_free(s->wait.seat);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    hub_free(s->hub);
}

static void until_connected(struct side *s, uint64_t times)
{
    struct bridge_stats stats;

    do {
        usleep(1000);
        bridge_stats(s->bridge, &stats);
    } while (stats.connects < times || !stats.connected);
}

static void until_woken(struct side *s)
{
    while (!s->woken)
        uv_run(&s->loop, UV_RUN_ONCE);
    s->woken = 0;
}

static void commit(struct side *s, int64_t n)
{
    struct tx_tally t = {.queue = STR("mail"), .state = TASK_READY, .n = n};

    hub_committed(s->hub, &(struct tx){.tallies = &t, .tallied_n = 1});
}

static void news_reach_the_other_program(void **state)
{
    struct store_testing *t = store_testing(state);
    struct bridge_stats stats;
    struct side a, b;
    int64_t begun, worst = 0;

    side_init(&a, t->url);
    side_init(&b, t->url);
    until_connected(&a, 1);
    until_connected(&b, 1);
    for (int i = 0; i < 20; i++) {
        int64_t took;

        sleep_again(&b);
        begun = clock_monotonic();
        commit(&a, 1);
        until_woken(&b);
        took = clock_monotonic() - begun;
        worst = took > worst ? took : worst;
    }
    print_message("worst of 20: %lld us\n", (long long)worst);
    /* Many commits are a few messages, and ours do not come back. */
    for (int i = 0; i < 1000; i++)
        commit(&a, 1);
    sleep_again(&b);
    until_woken(&b);
    bridge_stats(a.bridge, &stats);
    assert_in_range(stats.told, 1, 200);
    assert_int_equal(stats.heard, 0);
    side_deinit(&a);
    side_deinit(&b);
}

/* More than a message can hold is told as "everything": who waits for what stands in none looks. */
static void too_much_news_are_news_for_all(void **state)
{
    struct store_testing *t = store_testing(state);
    struct tx_tally tallies[64];
    char name[200];
    struct side a, b;

    memset(name, 'q', sizeof(name));
    side_init(&a, t->url);
    side_init(&b, t->url);
    until_connected(&a, 1);
    until_connected(&b, 1);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    b.woken = 0;
    sleep_again(&b);
    for (size_t i = 0; i < sizeof(tallies) / sizeof(tallies[0]); i++)
        tallies[i] = (struct tx_tally){
            .queue = {name, sizeof(name) - i},
              .state = TASK_READY, .n = 1
        };
    hub_committed(a.hub, &(struct tx){.tallies = tallies, .tallied_n = 64});
    until_woken(&b);
    sleep_again(&b);
    hub_committed_unseen(a.hub);
    until_woken(&b);
    side_deinit(&a);
    side_deinit(&b);
}

/* A lost connection is made again, and then everybody looks: what was told meanwhile is unknown. */
static void a_lost_connection_is_made_again(void **state)
{
    struct store_testing *t = store_testing(state);
    struct side a, b;

    side_init(&a, t->url);
    side_init(&b, t->url);
    until_connected(&a, 1);
    until_connected(&b, 1);
    sleep_again(&b);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    b.woken = 0;
    store_testing_sql(t, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                         "datname = current_database() AND pid <> pg_backend_pid()");
    until_connected(&b, 2);
    until_woken(&b);
    until_connected(&a, 2);
    sleep_again(&b);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    sleep_again(&b);
    b.woken = 0;
    commit(&a, 1);
    until_woken(&b);
    side_deinit(&a);
    side_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_read_as_it_was_written),
        cmocka_unit_test(what_is_not_understood_is_refused),
        STORE_TEST(news_reach_the_other_program, postgres),
        STORE_TEST(too_much_news_are_news_for_all, postgres),
        STORE_TEST(a_lost_connection_is_made_again, postgres),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
