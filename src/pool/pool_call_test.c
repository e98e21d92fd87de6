/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and sessions: who is served, who waits, and what is said when it takes too long.
 */
#include "pool/pool_testing.h"

static void another_session_is_a_mismatch_E_08_E_10(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *first, *second;

    (void)state;
    play_begin_ready(w, 1, 0);
    first = play_ask(w, 0, "user_123");
    second = play_ask(w, 1, "user_456");
    play_pass(w, 5 * CLOCK_S - 1);
    assert_false(second->done);
    play_pass(w, 1);
    play_check_refused(second, CODE_SESSION_MISMATCH);
    play_succeed(w, 1);
    assert_int_equal(first->code, CODE_OK);
    w->settings.queue_wait_us = 0;
    pool_set(w->pool, &w->settings, false, w->now);
    play_check_refused(play_ask(w, 1, "user_456"), CODE_SESSION_MISMATCH);
    play_end(w);
}

static void a_busy_pool_is_a_timeout_E_22(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *c;

    (void)state;
    play_begin_ready(w, 1, 0);
    w->settings.queue_wait_us = 100 * MS;
    pool_set(w->pool, &w->settings, false, w->now);
    play_ask(w, 0, NULL);
    c = play_ask(w, 1, NULL);
    play_pass(w, 100 * MS - 1);
    assert_false(c->done);
    play_pass(w, 1);
    play_check_refused(c, CODE_POOL_TIMEOUT);
    c = play_ask_with(w, 2, NULL, LEND_STRICT, w->now + 50 * MS);
    play_pass(w, 50 * MS);
    play_check_refused(c, CODE_DEADLINE_EXCEEDED);
    play_succeed(w, 1);
    assert_int_equal(w->calls[0].code, CODE_OK);
    play_end(w);
}

static void a_late_reply_is_given_to_nobody_E_12(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct pool_counts counts;
    struct call *late, *next;

    (void)state;
    play_begin_ready(w, 1, 0);
    w->settings.call_us = 100 * MS;
    pool_set(w->pool, &w->settings, false, w->now);
    late = play_ask(w, 0, NULL);
    play_pass(w, 100 * MS);
    play_check_refused(late, CODE_CALL_TIMEOUT);
    assert_int_equal(play_in_state(w, WORKER_SUSPECT), 1);
    next = play_ask(w, 1, NULL);
    assert_int_equal(w->processes[1].asked_n, 2); /* the late call, and a ping */
    play_answer(w, 1, 0, "\"success\":true,\"result\":\"of the first\"");
    assert_false(next->done);
    assert_int_equal(play_in_state(w, WORKER_SUSPECT), 1);
    play_succeed(w, 1);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_answer(w, 1, 0, "\"success\":true,\"result\":\"of the second\"");
    assert_string_equal(next->value, "\"of the second\"");
    pool_counts(w->pool, &counts);
    assert_int_equal(counts.late, 1);
    play_end(w);
}

static void ten_calls_get_their_own_answers_E_11_E_13(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    int64_t ids[10];

    (void)state;
    w->settings = pool_default(2);
    w->settings.in_flight = 16;
    play_begin(w, 1, 0);
    w->able = "{\"in_flight\":10}";
    play_start(w, 1);
    for (unsigned i = 0; i < 11; i++)
        play_ask(w, i, NULL);
    assert_int_equal(w->processes[1].asked_n, 10);
    memcpy(ids, w->processes[1].asked_ids, sizeof(ids));
    for (unsigned i = 10; i-- > 0;) { /* the last one first */
        char rest[60], value[30];

        snprintf(rest, sizeof(rest), "\"success\":true,\"result\":%u", 100 + i);
        snprintf(value, sizeof(value), "%u", 100 + i);
        play_answer(w, 1, i, rest);
        assert_true(w->calls[i].done);
        assert_string_equal(w->calls[i].value, value);
    }
    assert_false(w->calls[10].done);
    play_succeed(w, 1);
    assert_true(w->calls[10].done);
    play_end(w);
}

static void a_lost_session_is_told_until_it_is_opened_anew(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *c;

    (void)state;
    play_begin_ready(w, 2, 0);
    play_ask(w, 0, "s");
    c = play_ask(w, 1, "s"); /* waits for its process */
    play_die(w, 1);
    play_check_refused(&w->calls[0], CODE_SESSION_LOST);
    play_check_refused(c, CODE_SESSION_LOST);
    assert_string_equal(w->ended, "s process_ended;");
    play_check_refused(play_ask(w, 2, "s"), CODE_SESSION_LOST);
    assert_int_equal(pool_open(w->pool, STR("s"), w->now), CODE_OK);
    assert_int_equal(pool_open(w->pool, STR("s"), w->now), CODE_SESSION_MISMATCH);
    c = play_ask(w, 2, "s");
    assert_true(c->taken);
    play_succeed(w, 2);
    assert_int_equal(c->code, CODE_OK);
    play_end(w);
}

static void sessions_end_E_17_E_18_E_19(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct pool_session_look look;

    (void)state;
    play_begin_ready(w, 2, 0);
    play_ask(w, 0, "a");
    play_ask(w, 1, "b");
    play_succeed(w, 1);
    play_succeed(w, 2);
    assert_true(pool_session(w->pool, STR("a"), w->now, &look));
    assert_int_equal(look.calls, 1);
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_OK);
    assert_int_equal(w->processes[1].asked_n, 1); /* it is told */
    assert_string_equal(w->processes[1].sessions[0], "a");
    assert_false(pool_session(w->pool, STR("a"), w->now, &look));
    assert_true(pool_session(w->pool, STR("b"), w->now, &look));
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_SESSION_NOT_FOUND);
    assert_string_equal(w->ended, "a ended;");
    play_end(w);
}

static void a_session_that_ends_lets_its_call_end(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct pool_session_look look;
    struct call *waits;

    (void)state;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, "a");
    waits = play_ask(w, 1, "a");
    assert_int_equal(pool_end(w->pool, STR("a"), w->now), CODE_OK);
    pool_tick(w->pool, w->now);
    play_check_refused(waits, CODE_SESSION_LOST);
    play_check_refused(play_ask(w, 2, "a"), CODE_SESSION_LOST);
    assert_int_equal(w->processes[1].asked_n, 1);
    play_succeed(w, 1);
    assert_int_equal(w->calls[0].code, CODE_OK);
    assert_false(pool_session(w->pool, STR("a"), w->now, &look));
    assert_int_equal(w->processes[1].asked_n, 1);
    play_end(w);
}

static void sessions_end_when_they_are_idle_or_too_old(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.session_idle_us = 60 * CLOCK_S;
    w->settings.checkout_us = 100 * CLOCK_S;
    w->settings.health_us = 10000 * CLOCK_S;
    play_begin_ready(w, 2, 0);
    play_ask(w, 0, "idle");
    play_ask(w, 1, "busy");
    play_succeed(w, 1);
    play_succeed(w, 2);
    play_pass(w, 50 * CLOCK_S);
    play_ask(w, 1, "busy");
    play_succeed(w, 2);
    play_pass(w, 10 * CLOCK_S - 1);
    assert_string_equal(w->ended, "");
    play_pass(w, 1);
    assert_string_equal(w->ended, "idle idle;");
    play_pass(w, 40 * CLOCK_S);
    assert_string_equal(w->ended, "idle idle;busy checkout;");
    play_end(w);
}

static void who_waits_is_served_by_overflow_that_ends_E_21(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 1);
    play_ask(w, 0, NULL);
    assert_int_equal(w->newest, 1);
    play_ask(w, 1, NULL);
    play_ask(w, 2, NULL);
    assert_int_equal(w->newest, 2);
    play_start(w, 2);
    play_succeed(w, 2);
    assert_true(w->calls[1].done);
    play_succeed(w, 2);
    assert_true(w->calls[2].done);
    play_succeed(w, 1);
    play_pass(w, 29 * CLOCK_S);
    assert_int_equal(play_in_state(w, WORKER_READY), 2);
    play_pass(w, 1 * CLOCK_S);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    assert_true(w->processes[2].killed);
    play_end(w);
}

static void a_full_line_is_told(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.waiting_max = 2;
    play_begin_ready(w, 1, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_true(play_ask(w, i, NULL)->taken);
    play_check_refused(play_ask(w, 3, NULL), CODE_POOL_FULL);
    pool_cancel(w->pool, &w->calls[1].call, w->now); /* its client went away */
    assert_true(play_ask(w, 3, NULL)->taken);
    play_succeed(w, 1);
    play_succeed(w, 1);
    play_succeed(w, 1);
    assert_true(w->calls[2].done && w->calls[3].done && !w->calls[1].done);
    play_end(w);
}

static void chunks_come_before_the_end(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *c;
    char text[100];

    (void)state;
    play_begin_ready(w, 1, 0);
    c = play_ask(w, 0, NULL);
    snprintf(text, sizeof(text), "{\"id\":%" PRId64 ",\"chunk\":\"x\"}",
             w->processes[1].asked_ids[0]);
    play_say_text(w, 1, text);
    pool_hold(w->pool, &c->call, false);
    assert_int_equal(w->processes[1].reading, 1);
    play_say_text(w, 1, text);
    assert_int_equal(c->chunks, 1);
    pool_hold(w->pool, &c->call, true);
    play_say_text(w, 1, text);
    assert_int_equal(c->chunks, 2);
    play_succeed(w, 1);
    assert_true(c->done);
    play_end(w);
}

static void an_error_of_the_worker_is_an_answer(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, NULL);
    play_answer(w, 1, 0, "\"success\":false,\"error\":\"no such program\"");
    assert_true(w->calls[0].done && w->calls[0].failed && w->calls[0].code == CODE_OK);
    assert_string_equal(w->calls[0].value, "\"no such program\"");
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_session_is_a_mismatch_E_08_E_10),
        cmocka_unit_test(a_busy_pool_is_a_timeout_E_22),
        cmocka_unit_test(a_late_reply_is_given_to_nobody_E_12),
        cmocka_unit_test(ten_calls_get_their_own_answers_E_11_E_13),
        cmocka_unit_test(a_lost_session_is_told_until_it_is_opened_anew),
        cmocka_unit_test(sessions_end_E_17_E_18_E_19),
        cmocka_unit_test(a_session_that_ends_lets_its_call_end),
        cmocka_unit_test(sessions_end_when_they_are_idle_or_too_old),
        cmocka_unit_test(who_waits_is_served_by_overflow_that_ends_E_21),
        cmocka_unit_test(a_full_line_is_told),
        cmocka_unit_test(chunks_come_before_the_end),
        cmocka_unit_test(an_error_of_the_worker_is_an_answer),
    };

    log_setup(LOG_ERROR, LOG_PLAIN); /* what is lost on purpose is no news */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
