/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers hear of a store that takes what is sent and says nothing, and what becomes of calls
 * that have been answered in its place.
 */
#include "serve/calls_testing.h"

#include <sched.h>
#include <semaphore.h>

#include "base/clock.h"

/* The thread of a batcher is held in the middle of a transaction. */
struct hang {
    sem_t begun, go_on;
    struct batcher_request q;
};

static int hang(struct tx *tx, const void *request, void *reply)
{
    struct hang *h = (struct hang *)(uintptr_t)request;

    (void)tx;
    (void)reply;
    sem_post(&h->begun);
    sem_wait(&h->go_on);
    return 0;
}

static void hung(struct batcher_request *q)
{
    (void)q;
}

static void hang_post(struct hang *h, struct batcher *b)
{
    sem_init(&h->begun, 0, 0);
    sem_init(&h->go_on, 0, 0);
    h->q = (struct batcher_request){.function = hang, .request = h, .done = hung};
    batcher_post(b, (struct batcher_request *[]){&h->q}, 1);
}

static void hang_await(struct hang *h)
{
    while (sem_wait(&h->begun))
        continue;
}

/* After the batcher has stopped. */
static void hang_deinit(struct hang *h)
{
    batcher_release(&h->q);
    sem_destroy(&h->begun);
    sem_destroy(&h->go_on);
}

/* Until so many requests wait for a batcher: threads of the pool come to it when they can. */
static void await_waiting(struct batcher *b, size_t n)
{
    struct batcher_stats stats;

    do {
        sched_yield();
        batcher_stats(b, &stats);
    } while (stats.waiting < n);
}

/* For the loop, which looks at the clock, it is later than for the store's threads. */
static void wait_later(struct calls_testing_call *calls, size_t n)
{
    const struct clock_simulated later = {clock_utc(), clock_monotonic() + 11 * CLOCK_S};

    clock_simulate(&later);
    for (size_t i = 0; i < n; i++)
        calls_testing_wait(&calls[i]);
    clock_simulate(NULL);
}

/* A-90, C-61: whether the loop or a thread of the pool is at the call. */
static void callers_are_answered_while_the_store_says_nothing(void **state)
{
    /* `reader`, `writer`: so many wait there then; the pool has four threads. */
    static const struct {
        const char *method, *request, *text;
        size_t reader, writer;
    } rows[] = {
        {"queues.get",   "{\"queue\": \"mail\"}",             "and this was not begun", 1, 0},
        {"doctor.check", "{}",                                "and nobody knows yet",   2, 0},
        {"logs.read",    "{\"run\": \"1\", \"name\": \"a\"}", "and nobody knows yet",   3, 0},
        {"logs.watch",   "{\"run\": \"1\", \"name\": \"a\"}", "and nobody knows yet",   4, 0},
        {"runs.resume",  "{}",                                "and nobody knows yet",   4, 1},
        {"doctor.check", "{}",                                "and this was not begun", 4, 1},
    };
    struct calls_testing_call calls[ROWS_N(rows)];
    struct hang reader, writer;
    struct calls_testing c;

    calls_testing_init(&c, state);
    PUT(&c, "");
    hang_post(&reader, c.house.reader);
    hang_post(&writer, c.house.writer);
    hang_await(&reader);
    hang_await(&writer);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        calls_testing_start(&c, &calls[i], rows[i].method, rows[i].request);
        await_waiting(c.house.reader, rows[i].reader);
        await_waiting(c.house.writer, rows[i].writer);
    }
    wait_later(calls, ROWS_N(rows));
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const struct call *call = &calls[i].call;

        CHECK_ROW(rows[i].method, call->code == CODE_STORE_UNAVAILABLE);
        CHECK_ROW(rows[i].method, call->retry_after_us == CLOCK_S);
        HAS(call->text.p, rows[i].text);
        calls_testing_end(&calls[i]);
    }
    sem_post(&reader.go_on);
    sem_post(&writer.go_on);
    calls_testing_deinit(&c);
    hang_deinit(&reader);
    hang_deinit(&writer);
}

/* The store comes back while the program ends: the leases are nobody's, and cannot be released. */
static void a_claim_that_was_given_up_ends_with_the_store(void **state)
{
    struct calls_testing_call claim;
    struct hang first, second;
    struct calls_testing c;

    calls_testing_init(&c, state);
    PUT(&c, "");
    ENQUEUE(&c, "{\"payload\": 1}");
    hang_post(&first, c.house.writer);
    hang_await(&first);
    calls_testing_start(&c, &claim, "queues.claim", "{\"queue\": \"mail\", \"worker\": \"me\"}");
    hang_post(&second, c.house.writer);
    sem_post(&first.go_on);
    hang_await(&second); /* the claim has run in the same transaction */
    wait_later(&claim, 1);
    assert_int_equal(claim.call.code, CODE_STORE_UNAVAILABLE);
    HAS(claim.call.text.p, "nobody knows yet whether this was done");
    calls_testing_end(&claim);
    sem_post(&second.go_on);
    calls_testing_deinit(&c);
    hang_deinit(&first);
    hang_deinit(&second);
}

/* Whoever asks how the store is, again and again, takes no room among those that wait for it. */
static void a_question_about_health_does_not_stay(void **state)
{
    struct calls_testing_call health;
    struct batcher_stats stats;
    struct calls_testing c;
    struct hang writer;

    calls_testing_init(&c, state);
    hang_post(&writer, c.house.writer);
    hang_await(&writer);
    calls_testing_start(&c, &health, "health.get", "{}");
    health.call.cancel(&health.call);
    calls_testing_wait(&health);
    assert_int_equal(health.call.code, CODE_CANCELLED);
    calls_testing_end(&health);
    batcher_stats(c.house.writer, &stats);
    assert_int_equal(stats.waiting, 0);
    sem_post(&writer.go_on);
    calls_testing_deinit(&c);
    hang_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(callers_are_answered_while_the_store_says_nothing),
        STORE_TESTS(a_claim_that_was_given_up_ends_with_the_store),
        STORE_TESTS(a_question_about_health_does_not_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
