/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/hub.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"

#define WAITS 8
#define NEVER (1000 * CLOCK_S)

/* A loop with waiters; who is woken is noted. */
struct fixture {
    uv_loop_t loop;
    struct hub *hub;
    struct hub_seat *seat;
    struct hub_wait waits[WAITS];
    char order[64]; /* "0 1 2 " */
};

static struct fixture *fixture_of(struct hub_wait *w)
{
    return w->context;
}

static void noted(struct hub_wait *w)
{
    struct fixture *f = fixture_of(w);
    size_t n = strlen(f->order);

    snprintf(f->order + n, sizeof(f->order) - n, "%zu ", (size_t)(w - f->waits));
}

static struct fixture *fixture_new(int64_t net_us)
{
    struct fixture *f = memory_new(sizeof(*f));

    uv_loop_init(&f->loop);
    f->hub = hub_new(&(struct hub_options){.net_us = net_us});
    assert_int_equal(hub_seat_new(f->hub, &f->loop, &f->seat), 0);
    for (size_t i = 0; i < WAITS; i++)
        f->waits[i] =
            (struct hub_wait){.seat = f->seat, .queue = STR("q"), .woken = noted, .context = f};
    return f;
}

static int set_up(void **state)
{
    *state = fixture_new(NEVER);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < WAITS; i++)
        hub_forget(&f->waits[i], 0);
    hub_seat_free(f->seat);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    hub_free(f->hub);
    free(f);
    return 0;
}

static void sleep_one(struct fixture *f, size_t i, const struct hub_found *found)
{
    hub_look(&f->waits[i]);
    hub_sleep(&f->waits[i], found);
}

static void sleep_all(struct fixture *f)
{
    for (size_t i = 0; i < WAITS; i++)
        sleep_one(f, i, NULL);
}

/* A commit that brought these counts. */
static void commit(struct fixture *f, struct tx_tally *tallies, size_t n)
{
    hub_committed(f->hub, &(struct tx){.tallies = tallies, .tallied_n = n});
}

static void commit_one(struct fixture *f, const char *queue, enum task_state state, int64_t n)
{
    commit(f, &(struct tx_tally){.queue = str_of(queue), .state = state, .n = n}, 1);
}

/* Who is woken now, in this order. */
static const char *woken(struct fixture *f)
{
    f->order[0] = '\0';
    uv_run(&f->loop, UV_RUN_NOWAIT);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    return f->order;
}

static void as_many_are_woken_as_there_are_tasks(void **state)
{
    struct fixture *f = *state;

    f->waits[1].want = 10;
    sleep_all(f);
    commit_one(f, "other", TASK_READY, 100);
    assert_string_equal(woken(f), "");
    commit_one(f, "q", TASK_READY, 12);
    assert_string_equal(woken(f), "0 1 2 ");
    commit_one(f, "q", TASK_READY, -3);
    commit_one(f, "q", TASK_RUNNING, -3);
    assert_string_equal(woken(f), "");
    commit_one(f, "q", TASK_READY, 1);
    assert_string_equal(woken(f), "3 ");
}

static void what_comes_during_a_look_is_kept(void **state)
{
    struct fixture *f = *state;

    hub_look(&f->waits[0]);
    commit_one(f, "q", TASK_READY, 1);
    assert_string_equal(woken(f), "");
    hub_sleep(&f->waits[0], NULL);
    assert_string_equal(woken(f), "0 ");
    /* That look has seen it; it is not told again. */
    hub_look(&f->waits[0]);
    hub_sleep(&f->waits[0], NULL);
    assert_string_equal(woken(f), "");
}

static void who_takes_less_gives_the_rest_back(void **state)
{
    static const struct {
        const char *name;
        int64_t want, tasks, took;
        const char *next;
    } rows[] = {
        {"all of it",           1, 1, 1, ""      },
        {"it went away",        1, 1, 0, "1 "    },
        {"a part",              9, 5, 3, "1 2 "  },
        {"more than it's told", 9, 5, 9, ""      },
        {"nothing of many",     9, 3, 0, "1 2 3 "},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->waits[0].want = rows[i].want;
        sleep_all(f);
        commit_one(f, "q", TASK_READY, rows[i].tasks);
        assert_string_equal(woken(f), "0 ");
        hub_look(&f->waits[0]);
        hub_forget(&f->waits[0], rows[i].took);
        if (strcmp(woken(f), rows[i].next))
            fail_msg("%s: woken: %s", rows[i].name, f->order);
        for (size_t n = 0; n < WAITS; n++)
            hub_forget(&f->waits[n], 9);
    }
}

static void one_that_is_forgotten_before_its_turn_is_not_woken(void **state)
{
    struct fixture *f = *state;

    sleep_all(f);
    commit_one(f, "q", TASK_READY, 1);
    hub_forget(&f->waits[0], 0);
    assert_string_equal(woken(f), "1 ");
}

static void who_was_woken_for_nothing_keeps_its_place(void **state)
{
    struct fixture *f = *state;

    sleep_all(f);
    commit_one(f, "q", TASK_READY, 1);
    assert_string_equal(woken(f), "0 ");
    sleep_one(f, 0, NULL);
    commit_one(f, "q", TASK_READY, 1);
    assert_string_equal(woken(f), "0 ");
}

static void run_until_woken(struct fixture *f)
{
    f->order[0] = '\0';
    while (!f->order[0])
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void a_due_time_wakes_one(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_monotonic();

    for (size_t i = 0; i < WAITS; i++)
        sleep_one(f, i, &(struct hub_found){.due_us = now + 20 * CLOCK_MS});
    run_until_woken(f);
    assert_string_equal(f->order, "0 ");
    assert_true(clock_monotonic() >= now + 20 * CLOCK_MS);
    /* What should be there and is not, is not asked for without pause. */
    now = clock_monotonic();
    sleep_one(f, 0, &(struct hub_found){.due_us = now - CLOCK_S});
    run_until_woken(f);
    assert_true(clock_monotonic() >= now + HUB_DUE_US_MIN);
}

static void each_sleeps_as_long_as_it_wants(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_monotonic();

    f->waits[2].until_us = now + 20 * CLOCK_MS;
    f->waits[1].until_us = now + 40 * CLOCK_MS;
    sleep_all(f);
    run_until_woken(f);
    assert_string_equal(f->order, "2 ");
    run_until_woken(f);
    assert_string_equal(f->order, "1 ");
    assert_true(clock_monotonic() >= now + 40 * CLOCK_MS);
}

static void a_new_delayed_task_is_looked_at_by_one(void **state)
{
    struct fixture *f = *state;

    sleep_all(f);
    commit_one(f, "q", TASK_DELAYED, 500);
    assert_string_equal(woken(f), "0 ");
}

static void an_end_is_news_where_a_limit_held_tasks_back(void **state)
{
    struct fixture *f = *state;

    sleep_one(f, 0, &(struct hub_found){.held = true});
    sleep_one(f, 1, &(struct hub_found){.held = true});
    commit_one(f, "q", TASK_RUNNING, -1);
    assert_string_equal(woken(f), "0 ");
}

static void settings_wake_all(void **state)
{
    struct fixture *f = *state;
    struct tx_tally touched = {.queue = STR("q"), .state = TASK_READY, .touched = true};

    sleep_all(f);
    commit(f, &touched, 1);
    assert_string_equal(woken(f), "0 1 2 3 4 5 6 7 ");
}

static void events_wake_who_watches_them(void **state)
{
    struct event events[] = {{.run = 7}, {.run = 7}, {.run = 9}, {.run = 0}};
    struct fixture *f = *state;

    for (size_t i = 0; i < WAITS; i++)
        f->waits[i].topic = HUB_RUN_EVENTS;
    f->waits[0].run = f->waits[1].run = 7;
    f->waits[2].run = 8;
    f->waits[3].topic = HUB_EVENTS;
    f->waits[4].topic = HUB_RUNS;
    sleep_all(f);
    hub_committed(f->hub, &(struct tx){.events = events, .events_n = 4});
    assert_string_equal(woken(f), "0 1 3 ");
    commit(f, &(struct tx_tally){.run = 7, .state = TASK_READY, .n = 1}, 1);
    assert_string_equal(woken(f), "4 ");
}

static void a_dispatcher_is_woken_by_what_is_pushed_alone(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < WAITS; i++)
        f->waits[i].topic = i < 2 ? HUB_PUSH : HUB_RUNS;
    sleep_all(f);
    hub_committed(f->hub, &(struct tx){.pushed = true});
    assert_string_equal(woken(f), "0 1 ");
    sleep_one(f, 0, NULL);
    commit(f, &(struct tx_tally){.run = 7, .state = TASK_READY, .n = 1}, 1);
    assert_string_equal(woken(f), "2 3 4 5 6 7 ");
}

#define CROWD (3 * HUB_CROWD)

static size_t crowd_woken;

static void count_woken(struct hub_wait *w)
{
    (void)w;
    crowd_woken++;
}

static void crowd_sleep(struct hub_wait *crowd)
{
    for (size_t i = 0; i < CROWD; i++) {
        hub_look(&crowd[i]);
        hub_sleep(&crowd[i], NULL);
    }
}

static void a_crowd_that_watches_rests_between_news_and_misses_none(void **state)
{
    struct event event = {.run = 7};
    struct tx tx = {.events = &event, .events_n = 1};
    struct fixture *f = *state;
    struct hub_wait crowd[CROWD] = {0};
    int64_t begun;

    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = (struct hub_wait){
            .seat = f->seat, .topic = HUB_RUN_EVENTS, .run = 7, .woken = count_woken};
    crowd_woken = 0;
    crowd_sleep(crowd);
    begun = clock_monotonic();
    hub_committed(f->hub, &tx);
    woken(f);
    assert_int_equal(crowd_woken, CROWD);
    crowd_sleep(crowd);
    hub_committed(f->hub, &tx);
    while (crowd_woken < 2 * (size_t)CROWD)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(clock_monotonic() - begun >= CROWD * HUB_WATCHER_US);
    for (size_t i = 0; i < CROWD; i++)
        hub_forget(&crowd[i], 0);
}

#define GROWN 5000

static void count_turn(uv_prepare_t *prepare)
{
    ++*(size_t *)prepare->data;
}

/* Those who came later may make the rest longer; the loop does not turn without end meanwhile. */
static void a_crowd_that_grows_is_woken_when_it_was_due(void **state)
{
    struct event event = {.run = 7};
    struct tx tx = {.events = &event, .events_n = 1};
    struct fixture *f = *state;
    struct hub_wait *crowd = memory_new(GROWN * sizeof(*crowd));
    uv_prepare_t prepare;
    size_t turns = 0;

    for (size_t i = 0; i < GROWN; i++)
        crowd[i] = (struct hub_wait){
            .seat = f->seat, .topic = HUB_RUN_EVENTS, .run = 7, .woken = count_woken};
    uv_prepare_init(&f->loop, &prepare);
    prepare.data = &turns;
    uv_prepare_start(&prepare, count_turn);
    crowd_woken = 0;
    crowd_sleep(crowd);
    hub_committed(f->hub, &tx);
    woken(f);
    crowd_sleep(crowd);
    hub_committed(f->hub, &tx); /* due when this crowd has rested */
    for (size_t i = CROWD; i < GROWN; i++) {
        hub_look(&crowd[i]);
        hub_sleep(&crowd[i], NULL);
    }
    turns = 0;
    while (crowd_woken < CROWD + (size_t)GROWN)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(turns < 100);
    for (size_t i = 0; i < GROWN; i++)
        hub_forget(&crowd[i], 0);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    free(crowd);
}

static void many_runs_in_a_commit_are_all_told(void **state)
{
    struct event events[1000];
    struct fixture *f = *state;

    for (int i = 0; i < 1000; i++)
        events[i] = (struct event){.run = i + 1};
    for (size_t i = 0; i < WAITS; i++) {
        f->waits[i].topic = HUB_RUN_EVENTS;
        f->waits[i].run = 1 + (int64_t)i * 142;
    }
    sleep_all(f);
    hub_committed(f->hub, &(struct tx){.events = events, .events_n = 1000});
    assert_string_equal(woken(f), "0 1 2 3 4 5 6 7 ");
}

static void note_outlet(void *context, const struct hub_news *list, size_t n)
{
    int64_t *told = context;

    for (size_t i = 0; i < n; i++)
        *told += list[i].n;
}

static void others_hear_of_what_is_committed_here(void **state)
{
    struct fixture *f = *state;
    int64_t told = 0;

    hub_set_outlet(f->hub, note_outlet, &told);
    commit_one(f, "q", TASK_READY, 3);
    assert_int_equal(told, 3);
    /* And of what they told, they do not. */
    sleep_all(f);
    hub_told(f->hub, &(struct hub_news){.topic = HUB_QUEUE, .queue = STR("q"), .n = 2}, 1);
    assert_int_equal(told, 3);
    assert_string_equal(woken(f), "0 1 ");
    hub_all(f->hub);
    assert_string_equal(woken(f), "2 3 4 5 6 7 ");
}

static void the_net_wakes_who_sleeps_long(void **state)
{
    struct fixture *f = fixture_new(20 * CLOCK_MS);
    struct hub_stats stats;
    void *own = f;

    (void)state;
    sleep_one(f, 0, NULL);
    sleep_one(f, 1, NULL);
    run_until_woken(f);
    assert_string_equal(f->order, "0 ");
    hub_stats(f->hub, &stats);
    assert_int_equal(stats.late, 1);
    assert_int_equal(stats.waiting, 2);
    tear_down(&own);
}

static void who_looks_by_itself_needs_no_net(void **state)
{
    struct fixture *f = fixture_new(20 * CLOCK_MS);
    void *own = f;

    (void)state;
    f->waits[0].looks_us = 30 * CLOCK_MS;
    f->waits[1].queue = STR("other");
    f->waits[1].looks_us = 50 * CLOCK_MS; /* too seldom for this net */
    sleep_one(f, 0, NULL);
    sleep_one(f, 1, NULL);
    run_until_woken(f);
    assert_string_equal(f->order, "1 ");
    commit_one(f, "q", TASK_READY, 1);
    assert_string_equal(woken(f), "0 ");
    tear_down(&own);
}

/* What wants no time of the seat's timer takes it from nobody. */
static void who_looks_by_itself_leaves_others_their_time(void **state)
{
    struct fixture *f = *state;

    sleep_one(f, 0, &(struct hub_found){.due_us = clock_monotonic() + 20 * CLOCK_MS});
    f->waits[1].queue = STR("other");
    f->waits[1].looks_us = CLOCK_S;
    sleep_one(f, 1, NULL);
    run_until_woken(f);
    assert_string_equal(f->order, "0 ");
}

/* Claimers on two loops, and threads that commit: everything is taken, though there is no net. */
#define STORM_TASKS    20000
#define STORM_CLAIMERS 32
#define STORM_LOOPS    2

struct storm;
struct claimer {
    struct hub_wait wait;
    struct storm *storm;
    uv_idle_t claim; /* a claim takes a turn of the loop */
    int64_t takes;
};

struct storm_loop {
    uv_loop_t loop;
    uv_async_t over;
    struct hub_seat *seat;
    struct claimer claimers[STORM_CLAIMERS];
    pthread_t thread;
};

struct storm {
    struct hub *hub;
    atomic_llong ready, taken, empty;
    struct storm_loop loops[STORM_LOOPS];
};

static void begin_claim(struct hub_wait *w);

static void claim_ends(uv_idle_t *idle)
{
    struct claimer *c = idle->data;
    struct storm *s = c->storm;
    long long there = atomic_load(&s->ready), took;

    uv_idle_stop(idle);
    do
        took = there < c->wait.want ? there : c->wait.want;
    while (!atomic_compare_exchange_weak(&s->ready, &there, there - took));
    if (!took) {
        atomic_fetch_add(&s->empty, 1);
        hub_sleep(&c->wait, NULL);
        return;
    }
    c->takes++;
    hub_forget(&c->wait, took);
    if (atomic_fetch_add(&s->taken, took) + took == STORM_TASKS)
        for (size_t i = 0; i < STORM_LOOPS; i++)
            uv_async_send(&s->loops[i].over);
    begin_claim(&c->wait);
}

static void begin_claim(struct hub_wait *w)
{
    struct claimer *c = w->context;

    hub_look(w);
    uv_idle_start(&c->claim, claim_ends);
}

static void storm_over(uv_async_t *async)
{
    struct storm_loop *l = async->data;

    for (size_t i = 0; i < STORM_CLAIMERS; i++) {
        hub_forget(&l->claimers[i].wait, 0);
        uv_close((uv_handle_t *)&l->claimers[i].claim, NULL);
    }
    hub_seat_free(l->seat);
    uv_close((uv_handle_t *)async, NULL);
}

static void *storm_loop(void *context)
{
    struct storm_loop *l = context;

    for (size_t i = 0; i < STORM_CLAIMERS; i++)
        begin_claim(&l->claimers[i].wait);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void *storm_commits(void *context)
{
    struct storm *s = context;

    for (int left = STORM_TASKS / 2; left;) {
        int n = left < 1 + left % 7 ? left : 1 + left % 7;
        struct tx_tally t = {.queue = STR("q"), .state = TASK_READY, .n = n};

        atomic_fetch_add(&s->ready, n);
        hub_committed(s->hub, &(struct tx){.tallies = &t, .tallied_n = 1});
        left -= n;
        if (left % 3 == 0)
            sched_yield();
    }
    return NULL;
}

static void storm_loop_init(struct storm *s, struct storm_loop *l)
{
    uv_loop_init(&l->loop);
    uv_async_init(&l->loop, &l->over, storm_over);
    l->over.data = l;
    assert_int_equal(hub_seat_new(s->hub, &l->loop, &l->seat), 0);
    for (size_t i = 0; i < STORM_CLAIMERS; i++) {
        struct claimer *c = &l->claimers[i];

        c->storm = s;
        c->wait = (struct hub_wait){.seat = l->seat,
                                    .queue = STR("q"),
                                    .want = 1 + (int64_t)i % 3,
                                    .woken = begin_claim,
                                    .context = c};
        uv_idle_init(&l->loop, &c->claim);
        c->claim.data = c;
    }
}

static void no_wake_up_is_lost(void **state)
{
    struct storm *s = memory_new(sizeof(*s));
    pthread_t threads[2];

    (void)state;
    s->hub = hub_new(&(struct hub_options){.net_us = NEVER});
    for (size_t i = 0; i < STORM_LOOPS; i++)
        storm_loop_init(s, &s->loops[i]);
    for (size_t i = 0; i < STORM_LOOPS; i++)
        pthread_create(&s->loops[i].thread, NULL, storm_loop, &s->loops[i]);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, storm_commits, s);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < STORM_LOOPS; i++) {
        pthread_join(s->loops[i].thread, NULL);
        assert_int_equal(uv_loop_close(&s->loops[i].loop), 0);
    }
    assert_int_equal(atomic_load(&s->taken), STORM_TASKS);
    hub_free(s->hub);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_many_are_woken_as_there_are_tasks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_during_a_look_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_takes_less_gives_the_rest_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_forgotten_before_its_turn_is_not_woken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_was_woken_for_nothing_keeps_its_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_due_time_wakes_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_sleeps_as_long_as_it_wants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_delayed_task_is_looked_at_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_news_where_a_limit_held_tasks_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(settings_wake_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_wake_who_watches_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crowd_that_watches_rests_between_news_and_misses_none,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crowd_that_grows_is_woken_when_it_was_due, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dispatcher_is_woken_by_what_is_pushed_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_runs_in_a_commit_are_all_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_hear_of_what_is_committed_here, set_up, tear_down),
        cmocka_unit_test(the_net_wakes_who_sleeps_long),
        cmocka_unit_test(who_looks_by_itself_needs_no_net),
        cmocka_unit_test_setup_teardown(who_looks_by_itself_leaves_others_their_time, set_up,
                                        tear_down),
        cmocka_unit_test(no_wake_up_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
