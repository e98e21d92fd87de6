/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/duty.h"

#include "engine/engine_testing.h"

#define START (1900000000LL * CLOCK_S)

static struct duty_reply take(struct world *w, const char *name, const char *holder)
{
    struct duty_take req = {.name = str_of(name), .holder = str_of(holder), .ttl_us = 10 * CLOCK_S};
    struct duty_reply reply;

    DO(w, duty_take(&w->tx, &req, &reply));
    return reply;
}

/* One has it, keeps it by asking, and another one has it when the first is silent for the ttl. */
static void one_holds_a_duty_at_a_time(void **state)
{
    struct world *w = world(state);
    struct duty_reply a, b;

    w->now = START;
    a = take(w, "kept", "a");
    assert_true(a.held);
    w->now += 9 * CLOCK_S;
    b = take(w, "kept", "b");
    assert_false(b.held);
    assert_true(str_eq(b.holder, STR("a")));
    assert_int_equal(take(w, "kept", "a").token, a.token);
    w->now += 9 * CLOCK_S;
    assert_false(take(w, "kept", "b").held);
    w->now += CLOCK_S;
    b = take(w, "kept", "b");
    assert_true(b.held);
    assert_true(b.token > a.token);
    assert_false(take(w, "kept", "a").held);
}

static void one_that_is_given_up_is_free_at_once(void **state)
{
    struct world *w = world(state);
    struct duty_take req = {.name = STR("given up"), .holder = STR("a"), .ttl_us = 10 * CLOCK_S};

    w->now = START;
    assert_true(take(w, "given up", "a").held);
    DO(w, duty_leave(&w->tx, &req, NULL));
    assert_true(take(w, "given up", "b").held);
    /* Who has lost it takes nothing away. */
    DO(w, duty_leave(&w->tx, &req, NULL));
    assert_false(take(w, "given up", "a").held);
}

static void who_is_alone_waits_for_nobody(void **state)
{
    struct world *w = world(state);
    struct duty_take req = {
        .name = STR("alone"), .holder = STR("b"), .ttl_us = 10 * CLOCK_S, .alone = true};
    struct duty_reply a, b;

    w->now = START;
    a = take(w, "alone", "a");
    assert_true(a.held);
    DO(w, duty_take(&w->tx, &req, &b));
    assert_true(b.held && b.token > a.token);
    assert_false(take(w, "alone", "a").held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(one_holds_a_duty_at_a_time),
        ENGINE_TESTS(one_that_is_given_up_is_free_at_once),
        ENGINE_TESTS(who_is_alone_waits_for_nobody),
    };

    return ENGINE_MAIN(tests);
}
