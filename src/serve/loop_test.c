/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define HANDLES 4

/* Handles by number; who is called is noted. */
struct fixture {
    struct loop_handle handles[HANDLES];
    char order[64]; /* "0 1 2 " */
};

static struct fixture f;

static void note(struct loop_handle *h)
{
    size_t n = strlen(f.order);

    snprintf(f.order + n, sizeof(f.order) - n, "%zu ", (size_t)(h - f.handles));
}

static void note_and_wake_next(struct loop_handle *h)
{
    note(h);
    loop_wake(h + 1);
}

static void note_over(struct loop_handle *h)
{
    size_t n = strlen(f.order);

    note(h);
    f.order[strlen(f.order) - 1] = '!';
    assert_true(strlen(f.order) > n);
}

static void check_order(const char *expected)
{
    assert_string_equal(f.order, expected);
    f.order[0] = '\0';
}

static void by_hand(void **state)
{
    struct clock_simulated clock = {.monotonic = 100 * CLOCK_MS};
    struct loop_hand hand;

    (void)state;
    f = (struct fixture){0};
    clock_simulate(&clock);
    loop_hand_init(&hand);
    loop_use(&hand);
    loop_wake_init(NULL, &f.handles[0], note_and_wake_next);
    loop_wake_init(NULL, &f.handles[1], note);
    loop_timer_init(NULL, &f.handles[2], note);
    loop_timer_init(NULL, &f.handles[3], note);
    assert_false(loop_turn(&hand));
    assert_true(loop_due(&hand) == INT64_MAX);

    loop_wake(&f.handles[0]);
    loop_wake(&f.handles[0]);
    assert_int_equal(loop_due(&hand), clock.monotonic);
    assert_true(loop_turn(&hand));
    check_order("0 ");
    assert_true(loop_turn(&hand));
    check_order("1 ");

    loop_timer_start(&f.handles[2], 5);
    loop_timer_start(&f.handles[3], 5);
    loop_timer_start(&f.handles[2], 5); /* anew: now it is the second */
    assert_int_equal(loop_due(&hand), 105 * CLOCK_MS);
    assert_false(loop_turn(&hand));
    clock.monotonic += 5 * CLOCK_MS;
    assert_true(loop_turn(&hand));
    check_order("3 2 ");
    loop_timer_start(&f.handles[3], 1);
    loop_timer_stop(&f.handles[3]);
    assert_true(loop_due(&hand) == INT64_MAX);

    for (size_t i = 0; i < HANDLES; i++)
        loop_close(&f.handles[i], note_over);
    assert_true(loop_turn(&hand));
    check_order("0!1!2!3!");
    loop_use(NULL);
    clock_simulate(NULL);
}

static void by_libuv(void **state)
{
    uv_loop_t loop;

    (void)state;
    f = (struct fixture){0};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(loop_wake_init(&loop, &f.handles[0], note), 0);
    loop_timer_init(&loop, &f.handles[1], note);
    loop_wake(&f.handles[0]);
    while (!f.order[0])
        uv_run(&loop, UV_RUN_ONCE);
    check_order("0 ");
    loop_timer_start(&f.handles[1], 1);
    while (!f.order[0])
        uv_run(&loop, UV_RUN_ONCE);
    check_order("1 ");
    loop_close(&f.handles[0], note_over);
    loop_close(&f.handles[1], note_over);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(strlen(f.order), 4);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(by_libuv),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
