/* SPDX-License-Identifier: Apache-2.0 */
/* In a simulated loop, where a turn takes what the test says. */
#include "serve/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "serve/loop.h"

#define WATCHERS 100
#define TAKES_US 200

struct watcher {
    struct pace_turn turn;
    struct fixture *f;
    int turns;
    bool again; /* it asks for the next turn at once */
};

struct fixture {
    struct loop_hand hand;
    struct clock_simulated clock;
    struct pace *pace;
    int64_t taken_us;
    struct watcher watchers[WATCHERS];
};

static void come(struct pace_turn *t)
{
    struct watcher *w = LIST_OF(t, struct watcher, turn);

    w->turns++;
    w->f->taken_us += TAKES_US;
    w->f->clock.monotonic += TAKES_US;
    if (w->again)
        pace_ask(w->f->pace, t);
}

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.clock.monotonic = CLOCK_S};
    clock_simulate(&f->clock);
    loop_hand_init(&f->hand);
    loop_use(&f->hand);
    assert_int_equal(pace_new(NULL, &f->pace), 0);
    for (size_t i = 0; i < WATCHERS; i++)
        f->watchers[i] = (struct watcher){.turn.come = come, .f = f};
}

static void tear_down(struct fixture *f)
{
    for (size_t i = 0; i < WATCHERS; i++)
        pace_forget(&f->watchers[i].turn);
    f->pace = pace_free(f->pace);
    while (loop_turn(&f->hand))
        ;
    loop_use(NULL);
    clock_simulate(NULL);
}

/* Turn the loop until that time. */
static void run_until(struct fixture *f, int64_t until)
{
    while (f->clock.monotonic < until) {
        int64_t due = loop_due(&f->hand);

        if (due > f->clock.monotonic)
            f->clock.monotonic = due < until ? due : until;
        loop_turn(&f->hand);
    }
}

static void many_have_a_tenth_of_the_time_in_turn(void **state)
{
    struct fixture f;
    int64_t begun;

    (void)state;
    set_up(&f);
    begun = f.clock.monotonic;
    for (size_t i = 0; i < WATCHERS; i++) {
        f.watchers[i].again = true;
        pace_ask(f.pace, &f.watchers[i].turn);
    }
    run_until(&f, begun + 10 * CLOCK_S);
    assert_in_range(f.taken_us, 8 * CLOCK_S / 10, 105 * CLOCK_S / 100);
    for (size_t i = 1; i < WATCHERS; i++)
        assert_in_range(f.watchers[0].turns - f.watchers[i].turns, 0, 1);
    tear_down(&f);
}

static void who_takes_little_never_rests(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    for (int i = 0; i < 100; i++) {
        int64_t now = f.clock.monotonic;

        pace_ask(f.pace, &f.watchers[0].turn);
        pace_ask(f.pace, &f.watchers[0].turn);
        assert_int_equal(f.watchers[0].turns, i);
        while (loop_due(&f.hand) <= f.clock.monotonic)
            loop_turn(&f.hand);
        assert_int_equal(f.watchers[0].turns, i + 1);
        assert_int_equal(f.clock.monotonic, now + TAKES_US);
        f.clock.monotonic += 10 * CLOCK_MS;
    }
    tear_down(&f);
}

static void who_has_left_has_no_turn(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < 10; i++)
        pace_ask(f.pace, &f.watchers[i].turn);
    pace_forget(&f.watchers[3].turn);
    pace_forget(&f.watchers[3].turn);
    run_until(&f, f.clock.monotonic + CLOCK_S);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(f.watchers[i].turns, i != 3);
    tear_down(&f);
}

/* Whatever else the loop did while it was to be paid for. */
static void a_rest_has_an_end(void **state)
{
    struct fixture f;
    int64_t now;

    (void)state;
    set_up(&f);
    pace_ask(f.pace, &f.watchers[0].turn);
    loop_turn(&f.hand);
    assert_int_equal(f.watchers[0].turns, 1);
    f.clock.monotonic += 10 * CLOCK_S;
    pace_ask(f.pace, &f.watchers[1].turn);
    now = f.clock.monotonic;
    while (!f.watchers[1].turns)
        run_until(&f, f.clock.monotonic + CLOCK_MS);
    assert_in_range(f.clock.monotonic - now, PACE_OWED_US / 2, 2 * PACE_OWED_US);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_have_a_tenth_of_the_time_in_turn),
        cmocka_unit_test(who_takes_little_never_rests),
        cmocka_unit_test(who_has_left_has_no_turn),
        cmocka_unit_test(a_rest_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
