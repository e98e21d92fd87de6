/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits: how many may, how long, and until the caller has gone. */
#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "serve/batcher_testing.h"

/* A batcher of its own, with these limits. */
static struct batcher *batcher_limited(struct fixture *f, size_t waiting_max,
                                       size_t waiting_bytes_max)
{
    struct batcher_options o = {
        .name = "store",
        .waiting_max = waiting_max,
        .waiting_bytes_max = waiting_bytes_max,
        .store = {.url = str_of(f->url), .mode = STORE_WRITE}
    };
    struct batcher *b;

    assert_int_equal(batcher_new(&o, &b), 0);
    return b;
}

/* beyond the limit a caller hears at once when to try again, and what is our own goes in. */
static void too_much_waiting_is_refused_at_once(void **state)
{
    static const struct {
        const char *name;
        size_t waiting_max, waiting_bytes_max, room;
    } rows[] = {
        {"requests", 10,  1000000, 10},
        {"bytes",    100, 1250,    12},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct batcher *b = batcher_limited(f, rows[i].waiting_max, rows[i].waiting_bytes_max);
        struct put own = {.name = "own"}, puts[20];
        struct group_test *posted[20], *mine;
        struct batcher_stats stats;
        struct hold h;

        batcher_testing_hold(b, &h);
        for (size_t n = 0; n < ROWS_N(puts); n++) {
            puts[n] = (struct put){.name = "q"};
            posted[n] = batcher_testing_post(b, &puts[n], 1, BATCHER_FOR_EVER, NULL);
            if ((sem_trywait(&posted[n]->all) == 0) != (n >= rows[i].room))
                fail_msg("%s: at %zu", rows[i].name, n);
        }
        mine = batcher_testing_make(&own, 1, 0, NULL);
        mine->requests[0].lane = BATCHER_OWN;
        batcher_post(b, &(struct batcher_request *){&mine->requests[0]}, 1);
        batcher_stats(b, &stats);
        assert_int_equal(stats.waiting, rows[i].room);
        batcher_testing_let_go(&h);
        sem_wait(&mine->all);
        assert_int_equal(mine->requests[0].answer.code, CODE_OK);
        for (size_t n = 0; n < ROWS_N(puts); n++) {
            const struct batcher_answer *a = &posted[n]->requests[0].answer;

            if (n < rows[i].room)
                sem_wait(&posted[n]->all);
            assert_int_equal(a->code, n < rows[i].room ? CODE_OK : CODE_RESOURCE_EXHAUSTED);
            assert_true(a->code == CODE_OK || a->retry_after_us > 0);
            batcher_testing_free(posted[n]);
        }
        batcher_stats(b, &stats);
        assert_int_equal(stats.refused, ROWS_N(puts) - rows[i].room);
        assert_int_equal(stats.waiting + stats.waiting_bytes, 0);
        /* The one that holds it came alone, the others together. */
        assert_int_equal(stats.sizes[0], 1);
        assert_int_equal(stats.sizes[4], 1);
        assert_int_equal(stats.commits, 2);
        batcher_testing_free(mine);
        batcher_free(b);
    }
}

static void who_is_too_late_is_not_run(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "late"}, {.name = "early"}};
    struct group_test *g = batcher_testing_make(puts, 2, 0, NULL);
    struct batcher_stats stats;
    struct hold h;

    g->requests[0].deadline_us = clock_monotonic() - 1;
    g->requests[1].deadline_us = clock_monotonic() + 1000 * CLOCK_S;
    batcher_testing_hold(f->writer, &h);
    batcher_testing_post_each(f->writer, g);
    batcher_testing_let_go(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_DEADLINE_EXCEEDED);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 0);
    batcher_stats(f->writer, &stats);
    assert_int_equal(stats.late, 1);
    batcher_testing_free(g);
}

/* C-31: of a caller that has gone. One that runs goes on, one that was not begun never is. */
static void what_is_withdrawn_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct put puts[] = {{.name = "gone"}, {.name = "stays"}};
    struct group_test *g = batcher_testing_make(puts, 2, 0, NULL);
    struct batcher_stats stats;
    struct hold h;

    batcher_testing_hold(f->writer, &h);
    batcher_testing_post_each(f->writer, g);
    assert_true(batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED));
    batcher_stats(f->writer, &stats);
    assert_int_equal(stats.waiting, 1);
    batcher_testing_let_go(&h);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_CANCELLED);
    assert_int_equal(g->requests[1].answer.code, CODE_OK);
    assert_int_equal(puts[0].calls, 0);
    batcher_testing_free(g);
}

static void what_runs_is_not_withdrawn(void **state)
{
    struct fixture *f = *state;
    sem_t started, go_on;
    struct put runs = {.name = "runs", .started = &started, .go_on = &go_on};
    struct group_test *g;

    sem_init(&started, 0, 0);
    sem_init(&go_on, 0, 0);
    g = batcher_testing_post(f->writer, &runs, 1, BATCHER_FOR_EVER, NULL);
    sem_wait(&started);
    assert_false(batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED));
    sem_post(&go_on);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_OK);
    assert_int_equal(runs.calls, 1);
    batcher_testing_free(g);
    sem_destroy(&started);
    sem_destroy(&go_on);
}

/* A request that fails is run again; withdrawn meanwhile, it is not. */
static void what_waits_for_the_store_is_withdrawn(void **state)
{
    struct fixture *f = *state;
    sem_t started, go_on;
    struct put lost = {.name = "lost", .ending = END_LOST, .started = &started, .go_on = &go_on};
    struct group_test *g;

    sem_init(&started, 0, 0);
    sem_init(&go_on, 0, 0);
    g = batcher_testing_post(f->writer, &lost, 1, BATCHER_FOR_EVER, NULL);
    sem_wait(&started);
    batcher_withdraw(f->writer, &g->requests[0], CODE_CANCELLED);
    sem_post(&go_on);
    sem_wait(&g->all);
    assert_int_equal(g->requests[0].answer.code, CODE_CANCELLED);
    assert_int_equal(lost.calls, 1);
    batcher_testing_free(g);
    sem_destroy(&started);
    sem_destroy(&go_on);
}

static int lost(struct tx *tx, const void *request, void *reply)
{
    (void)tx;
    (void)request;
    (void)reply;
    return -ECONNRESET;
}

static enum code trouble_of(struct batcher *b)
{
    char text[BATCHER_TROUBLE_BYTES];

    return batcher_trouble(b, text);
}

/* The connection in trouble may take it along, and is the wrong one. */
static void ask_another(struct batcher *b)
{
    const char *name = "x";
    bool found;
    struct batcher_request q = {.function = batcher_testing_get,
                                .request = &name,
                                .reply = &found,
                                .reply_size = sizeof(found)};

    do
        batcher_call(b, &q);
    while (q.answer.code == CODE_STORE_UNAVAILABLE);
    assert_int_equal(q.answer.code, CODE_OK);
    batcher_release(&q);
}

/* What another connection hears says nothing of one that still waits, and all of one that does not.
 */
static void trouble_is_over_with_the_last_connection_that_waits(void **state)
{
    struct fixture *f = *state;
    struct batcher_options o = {
        .name = "readers", .connections = 2, .store = {.url = str_of(f->url), .mode = STORE_READ}
    };
    struct group_test *g = batcher_testing_make(&(struct put){0}, 1, BATCHER_FOR_EVER, NULL);
    struct batcher *readers;

    assert_false(batcher_testing_has(f->writer, "x"));
    assert_int_equal(batcher_new(&o, &readers), 0);
    g->requests[0].function = lost;
    batcher_post(readers, &(struct batcher_request *){&g->requests[0]}, 1);
    while (trouble_of(readers) == CODE_OK)
        sched_yield();
    for (int i = 0; i < 10; i++) {
        ask_another(readers);
        assert_int_equal(trouble_of(readers), CODE_STORE_UNAVAILABLE);
    }
    batcher_withdraw(readers, &g->requests[0], CODE_CANCELLED);
    sem_wait(&g->all);
    assert_int_equal(trouble_of(readers), CODE_STORE_UNAVAILABLE);
    do
        ask_another(readers);
    while (trouble_of(readers) != CODE_OK);
    batcher_testing_free(g);
    batcher_free(readers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCHER_TEST(too_much_waiting_is_refused_at_once),
        BATCHER_TEST(who_is_too_late_is_not_run),
        BATCHER_TEST(what_is_withdrawn_is_not_begun),
        BATCHER_TEST(what_runs_is_not_withdrawn),
        BATCHER_TEST(what_waits_for_the_store_is_withdrawn),
        BATCHER_TEST(trouble_is_over_with_the_last_connection_that_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
