/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "runner/weft_going.h"

/* Nobody listens there, and nobody is asked. */
#define NOWHERE "http://127.0.0.1:9"

struct fixture {
    struct weft *client;
    struct weft_offer offer;
    struct weft_stage *stage;
};

static void setup(struct fixture *f)
{
    static const struct weft_worker_options none;
    Weft__V1__RunStageRequest request = WEFT__V1__RUN_STAGE_REQUEST__INIT;
    struct weft_error error;

    *f = (struct fixture){.offer.type = "build"};
    assert_int_equal(weft_open(NOWHERE, NULL, &f->client, &error), WEFT_OK);
    assert_int_equal(weft_worker_new(f->client, &none, &f->offer.worker, &error), WEFT_OK);
    request.token = "7.1";
    f->stage = weft_stage_new(&f->offer, &request, true);
}

static void teardown(struct fixture *f)
{
    weft_stage_free(f->stage);
    weft_worker_free(f->offer.worker);
    weft_close(f->client);
}

static void *cancel(void *stage)
{
    weft_stage_cancel(stage, "enough");
    return NULL;
}

static void a_wait_may_be_as_long_as_can_be_said(void **state)
{
    struct fixture f;
    pthread_t other;

    (void)state;
    setup(&f);
    assert_int_equal(pthread_create(&other, NULL, cancel, f.stage), 0);
    assert_string_equal(weft_stage_wait(f.stage, INT64_MAX), "enough");
    pthread_join(other, NULL);
    teardown(&f);
}

static void a_wait_of_less_than_nothing_is_none(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    assert_null(weft_stage_wait(f.stage, INT64_MIN));
    assert_null(weft_stage_wait(f.stage, 0));
    teardown(&f);
}

static void times_that_cannot_be_counted_never_come(void **state)
{
    int64_t now = clock_monotonic();

    (void)state;
    assert_true(weft_held_in_ms(1000) >= now + 1000 * CLOCK_MS);
    assert_true(weft_held_in_ms(INT64_MAX / CLOCK_MS) == INT64_MAX);
    assert_true(weft_held_in_ms(INT64_MAX) == INT64_MAX);
    assert_true(weft_held_in_ms(-1) <= clock_monotonic());
    assert_true(weft_held_in_ms(INT64_MIN) >= now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_may_be_as_long_as_can_be_said),
        cmocka_unit_test(a_wait_of_less_than_nothing_is_none),
        cmocka_unit_test(times_that_cannot_be_counted_never_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
