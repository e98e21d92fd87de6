/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait: claims with patience, on both stores. */
#include <semaphore.h>

#include "base/clock.h"
#include "engine/task.h"
#include "serve/calls_testing.h"

/* C: a claim without work waits, and is woken by the commit that brings some. */
static void a_claim_waits_for_a_task(void **state)
{
    struct calls_testing_call claim;
    struct calls_testing c;
    int64_t begun;

    calls_testing_init(&c, state);
    PUT(&c, "");
    calls_testing_start(&c, &claim, "queues.claim",
                        "{\"queue\": \"mail\", \"worker\": \"me\", \"wait\": \"9s\"}");
    calls_testing_settle(&c);
    assert_false(claim.done);
    begun = clock_monotonic();
    ENQUEUE(&c, "{\"payload\": 7}");
    calls_testing_wait(&claim);
    assert_int_equal(claim.call.code, CODE_OK);
    HAS(claim.reply, "\"payload\":7");
    assert_true(clock_monotonic() - begun < 5 * CLOCK_S);
    calls_testing_end(&claim);
    calls_testing_deinit(&c);
}

static void calls_that_wait_are_bounded(void **state)
{
    static const char request[] = "{\"queue\": \"mail\", \"worker\": \"me\", \"wait\": \"60s\"}";
    struct calls_testing_call waits, more;
    struct calls_testing c;

    calls_testing_init(&c, state);
    methods_free(c.m);
    c.house.long_max = 1;
    assert_int_equal(methods_new(&c.loop, &c.house, &c.m), 0);
    PUT(&c, "");
    calls_testing_start(&c, &waits, "queues.claim", request);
    calls_testing_start(&c, &more, "queues.claim", request);
    calls_testing_wait(&more);
    assert_int_equal(more.call.code, CODE_RESOURCE_EXHAUSTED);
    assert_int_equal(more.call.retry_after_us, CLOCK_S);
    calls_testing_end(&more);
    ENQUEUE(&c, "{\"payload\": 1}");
    calls_testing_wait(&waits);
    HAS(waits.reply, "\"payload\":1");
    calls_testing_end(&waits);
    calls_testing_start(&c, &more, "queues.claim", "{\"queue\": \"mail\", \"worker\": \"me\"}");
    calls_testing_wait(&more);
    assert_int_equal(more.call.code, CODE_OK);
    calls_testing_end(&more);
    calls_testing_deinit(&c);
}

static size_t count_of(const char *text, const char *piece)
{
    size_t n = 0;

    for (const char *at = strstr(text, piece); at; at = strstr(at + 1, piece))
        n++;
    return n;
}

/* A reply that no client takes would leave its leases unheard of, again and again. */
static void a_claim_takes_what_fits_into_a_reply(void **state)
{
    struct calls_testing c;
    struct buf request;
    const char *r;

    calls_testing_init(&c, state);
    PUT(&c, "");
    buf_init(&request, 8u << 20);
    buf_add(&request, STR("{\"queue\":\"mail\",\"tasks\":["));
    for (size_t i = 0; i < 5; i++) {
        buf_add(&request, i ? STR(",{\"payload\":\"") : STR("{\"payload\":\""));
        memset(buf_extend(&request, 1000000), 'x', 1000000);
        buf_add(&request, STR("\"}"));
    }
    buf_add(&request, STR("]}"));
    calls_testing_ok(&c, "queues.enqueue", request.p);
    buf_deinit(&request);
    r = CLAIM(&c, ", \"max\": 5");
    assert_int_equal(count_of(r, "\"token\""), 3);
    r = CLAIM(&c, ", \"max\": 5");
    assert_int_equal(count_of(r, "\"token\""), 2);
    calls_testing_deinit(&c);
}

/* … and by the end of a lease, where a limit held the tasks back. */
static void a_claim_waits_for_a_limit(void **state)
{
    struct calls_testing_call claim;
    struct calls_testing c;
    const char *token;

    calls_testing_init(&c, state);
    PUT(&c, ", \"concurrency_max\": 1");
    ENQUEUE(&c, "{\"payload\": 1}, {\"payload\": 2}");
    token = calls_testing_field(&c, CLAIM(&c, ", \"max\": 2"), "token");
    calls_testing_start(&c, &claim, "queues.claim",
                        "{\"queue\": \"mail\", \"worker\": \"you\", \"wait\": \"9s\"}");
    calls_testing_settle(&c);
    assert_false(claim.done);
    calls_testing_complete(&c, token, "\"outcome\": \"succeeded\"");
    calls_testing_wait(&claim);
    HAS(claim.reply, "\"payload\":2");
    calls_testing_end(&claim);
    calls_testing_deinit(&c);
}

static void a_claim_waits_no_longer_than_it_asked(void **state)
{
    struct calls_testing_call claim;
    struct calls_testing c;
    int64_t begun = clock_monotonic();

    calls_testing_init(&c, state);
    PUT(&c, "");
    calls_testing_start(&c, &claim, "queues.claim",
                        "{\"queue\": \"mail\", \"worker\": \"me\", \"wait\": \"0.2s\"}");
    calls_testing_wait(&claim);
    assert_int_equal(claim.call.code, CODE_OK);
    HAS(claim.reply, "{\"leases\":[]}");
    assert_true(clock_monotonic() - begun >= CLOCK_S / 5);
    calls_testing_end(&claim);
    calls_testing_deinit(&c);
}

/* Keeps the writer's thread, from the first of two semaphores to the second. */
static int keep_busy(struct tx *tx, const void *request, void *reply)
{
    sem_t *const *both = request;

    (void)tx;
    (void)reply;
    sem_post(both[0]);
    sem_wait(both[1]);
    return 0;
}

static void let_go(struct batcher_request *q)
{
    sem_post(q->context);
}

/* A client that has gone gets nothing: neither while it waits, nor while the store is asked. */
static void a_client_that_has_gone_holds_nothing(void **state)
{
    struct calls_testing_call claim;
    struct calls_testing c;

    calls_testing_init(&c, state);
    PUT(&c, "");
    calls_testing_start(&c, &claim, "queues.claim",
                        "{\"queue\": \"mail\", \"worker\": \"me\", \"wait\": \"9s\"}");
    calls_testing_settle(&c);
    claim.call.cancel(&claim.call);
    claim.call.cancel(&claim.call);
    calls_testing_wait(&claim);
    assert_int_equal(claim.call.code, CODE_CANCELLED);
    calls_testing_end(&claim);
    ENQUEUE(&c, "{}");
    calls_testing_start(&c, &claim, "queues.claim", "{\"queue\": \"mail\", \"worker\": \"me\"}");
    claim.call.cancel(&claim.call);
    calls_testing_wait(&claim);
    assert_int_equal(claim.call.code, CODE_CANCELLED);
    calls_testing_end(&claim);
    HAS(calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}"), "\"ready\":1,");
    calls_testing_deinit(&c);
}

/* What had not begun when its caller went is not begun, and says so by leaving nothing. */
static void what_a_gone_client_wanted_is_left_undone(void **state)
{
    struct batcher_request held = {.function = keep_busy, .done = let_go};
    struct calls_testing_call call;
    struct calls_testing c;
    sem_t started, go_on;

    calls_testing_init(&c, state);
    PUT(&c, "");
    sem_init(&started, 0, 0);
    sem_init(&go_on, 0, 0);
    held.request = (sem_t *[]){&started, &go_on};
    held.context = &started;
    batcher_post(c.house.writer, (struct batcher_request *[]){&held}, 1);
    sem_wait(&started);
    calls_testing_start(&c, &call, "queues.enqueue", "{\"queue\": \"mail\", \"tasks\": [{}]}");
    call.call.cancel(&call.call);
    calls_testing_wait(&call);
    assert_int_equal(call.call.code, CODE_CANCELLED);
    calls_testing_end(&call);
    sem_post(&go_on);
    sem_wait(&started);
    HAS(calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}"), "\"ready\":0,");
    batcher_release(&held);
    calls_testing_deinit(&c);
    sem_destroy(&started);
    sem_destroy(&go_on);
}

/* What a worker whose reply was lost asks again for. */
static void a_claim_with_a_key_waits_and_is_kept(void **state)
{
    const char *request = "{\"queue\": \"mail\", \"worker\": \"w\", \"wait\": \"20s\"}";
    struct calls_testing_call one, again;
    struct calls_testing c;

    calls_testing_init(&c, state);
    one = again = (struct calls_testing_call){
        .call = {.deadline_us = INT64_MAX, .idempotency_key = STR("claim 1")}
    };
    PUT(&c, "");
    calls_testing_begin(&c, &one, "queues.claim", request);
    calls_testing_ok(&c, "queues.enqueue", "{\"queue\": \"mail\", \"tasks\": [{}, {}]}");
    calls_testing_wait(&one);
    HAS(one.reply, "\"token\"");
    calls_testing_begin(&c, &again, "queues.claim", request);
    calls_testing_wait(&again);
    assert_string_equal(one.reply, again.reply);
    HAS(calls_testing_ok(&c, "queues.get", "{\"queue\": \"mail\"}"), "\"ready\":1,");
    calls_testing_end(&one);
    calls_testing_end(&again);
    calls_testing_deinit(&c);
}

/* Claims have an empty answer at once, with a key, too, and one that begins then does not wait. */
static void a_drain_ends_what_waits(void **state)
{
    const char *request = "{\"queue\": \"mail\", \"worker\": \"w\", \"wait\": \"20s\"}";
    struct calls_testing_call claims[4], watch;
    struct calls_testing c;

    calls_testing_init(&c, state);
    PUT(&c, "");
    for (size_t i = 0; i < 3; i++) {
        claims[i] = (struct calls_testing_call){.call.deadline_us = INT64_MAX};
        if (i == 1)
            claims[i].call.idempotency_key = STR("claim 1");
        if (i == 2) /* while the store is asked */
            calls_testing_settle(&c);
        calls_testing_begin(&c, &claims[i], "queues.claim", request);
    }
    calls_testing_start(&c, &watch, "runs.watch", "{}");
    methods_drain(c.m);
    calls_testing_start(&c, &claims[3], "queues.claim", request);
    for (size_t i = 0; i < 4; i++) {
        calls_testing_wait(&claims[i]);
        assert_int_equal(claims[i].call.code, CODE_OK);
        HAS(claims[i].reply, "{\"leases\":[]}");
        calls_testing_end(&claims[i]);
    }
    watch.call.cancel(&watch.call);
    calls_testing_wait(&watch);
    assert_int_equal(watch.call.code, CODE_UNAVAILABLE);
    calls_testing_end(&watch);
    calls_testing_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TESTS(a_claim_waits_for_a_task),
        STORE_TESTS(calls_that_wait_are_bounded),
        STORE_TESTS(a_claim_takes_what_fits_into_a_reply),
        STORE_TESTS(a_claim_waits_for_a_limit),
        STORE_TESTS(a_claim_waits_no_longer_than_it_asked),
        STORE_TESTS(a_client_that_has_gone_holds_nothing),
        STORE_TESTS(what_a_gone_client_wanted_is_left_undone),
        STORE_TESTS(a_claim_with_a_key_waits_and_is_kept),
        STORE_TESTS(a_drain_ends_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
