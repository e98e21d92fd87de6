/* SPDX-License-Identifier: Apache-2.0 */
#include "core/breaker.h"

#include "base/test.h"

#define S 1000000LL

static int tell(struct breaker *b, enum breaker_event event, int64_t now)
{
    const struct breaker_policy p = breaker_default();

    return breaker_move(b, event, &p, now, NULL);
}

/* B-37 */
static void it_begins_closed(void **state)
{
    struct breaker b = {0};

    (void)state;
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.failures, 0);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 0), 0);
}

/* B-38: six failures where five are the limit. */
static void failures_in_a_row_open_it(void **state)
{
    struct breaker b = {0};

    (void)state;
    for (int i = 1; i <= 6; i++) {
        assert_int_equal(tell(&b, BREAKER_EVENT_FAIL, i), 0);
        assert_int_equal(b.state, i < 5 ? BREAKER_CLOSED : BREAKER_OPEN);
    }
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 7), BREAKER_E_REFUSED);
}

static void a_success_between_starts_anew(void **state)
{
    struct breaker b = {0};

    (void)state;
    for (int i = 0; i < 20; i++)
        tell(&b, i % 5 == 4 ? BREAKER_EVENT_SUCCEED : BREAKER_EVENT_FAIL, i);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

/* B-39: open, the last failure two minutes ago. */
static void after_a_while_it_is_tried(void **state)
{
    struct breaker b = {.state = BREAKER_OPEN, .at = 10 * S};
    const struct breaker_policy p = breaker_default();

    (void)state;
    assert_int_equal(breaker_next_at(&b, &p), 70 * S);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 70 * S - 1), BREAKER_E_REFUSED);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 130 * S), 0);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(b.state, BREAKER_HALF_OPEN);
        tell(&b, BREAKER_EVENT_SUCCEED, 131 * S);
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.failures, 0);
}

static void a_trial_that_fails_opens_it_again(void **state)
{
    struct breaker b = {.state = BREAKER_OPEN, .at = 10 * S};

    (void)state;
    tell(&b, BREAKER_EVENT_ASK, 130 * S);
    tell(&b, BREAKER_EVENT_SUCCEED, 131 * S);
    tell(&b, BREAKER_EVENT_FAIL, 140 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 199 * S), BREAKER_E_REFUSED);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 200 * S), 0);
}

/* No more trials at once than it takes to close; where nobody tells of them, others come after a
 * while. */
static void trials_are_few(void **state)
{
    struct breaker b = {.state = BREAKER_OPEN, .at = 10 * S};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 130 * S), 0);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 131 * S), BREAKER_E_REFUSED);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 190 * S), 0);
    assert_int_equal(b.trials, 1);
}

/* What a call from before tells does not keep it open, nor close it. */
static void late_outcomes_move_nothing(void **state)
{
    struct breaker b = {.state = BREAKER_OPEN, .at = 10 * S};

    (void)state;
    tell(&b, BREAKER_EVENT_FAIL, 69 * S);
    tell(&b, BREAKER_EVENT_SUCCEED, 69 * S);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_int_equal(tell(&b, BREAKER_EVENT_ASK, 70 * S), 0);
}

/* B-40: a call behind a breaker gives nothing while it fails, and each failure counts. */
static bool call(struct breaker *b, int *calls, int64_t now)
{
    if (tell(b, BREAKER_EVENT_ASK, now))
        return false;
    (*calls)++;
    tell(b, BREAKER_EVENT_FAIL, now);
    return false;
}

static void a_failing_call_counts(void **state)
{
    struct breaker b = {0};
    int calls = 0;

    (void)state;
    assert_false(call(&b, &calls, 0));
    assert_int_equal(b.failures, 1);
    for (int i = 0; i < 100; i++)
        assert_false(call(&b, &calls, i));
    assert_int_equal(calls, 5);
}

/* All histories of nine events in steps of 20 seconds: what it promises holds in each. */
static void every_history(void **state)
{
    const struct breaker_policy p = breaker_default();

    (void)state;
    for (int n = 0; n < 19683; n++) {
        struct breaker b = {0};
        int row = 0;

        for (int i = 0, rest = n; i < 9; i++, rest /= 3) {
            enum breaker_event e = (enum breaker_event)(rest % 3);
            struct breaker was = b;
            const char *why = NULL;
            int r = breaker_move(&b, e, &p, i * 20 * S, &why);

            row = e == BREAKER_EVENT_FAIL ? row + 1 : e == BREAKER_EVENT_SUCCEED ? 0 : row;
            assert_true(r == 0 ? why != NULL : e == BREAKER_EVENT_ASK);
            assert_true(r == 0 || (b.state == was.state && b.at == was.at));
            if (was.state == BREAKER_CLOSED)
                assert_true((b.state == BREAKER_OPEN) == (row >= 5));
            if (was.state == BREAKER_OPEN && b.state != BREAKER_OPEN)
                assert_true(i * 20 * S - was.at >= p.open_us);
            if (b.state == BREAKER_CLOSED && was.state != BREAKER_CLOSED) {
                assert_int_equal(was.state, BREAKER_HALF_OPEN);
                row = 0;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_closed),
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(a_success_between_starts_anew),
        cmocka_unit_test(after_a_while_it_is_tried),
        cmocka_unit_test(a_trial_that_fails_opens_it_again),
        cmocka_unit_test(trials_are_few),
        cmocka_unit_test(late_outcomes_move_nothing),
        cmocka_unit_test(a_failing_call_counts),
        cmocka_unit_test(every_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
