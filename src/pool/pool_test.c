/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes: how they start, what they are trusted with, and how they are replaced; and storms.
 */
#include "pool/pool_testing.h"

static void a_process_is_ready_once_its_ping_is_answered_E_06(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *c;

    (void)state;
    play_begin(w, 1, 0);
    c = play_ask(w, 0, NULL);
    assert_int_equal(play_in_state(w, WORKER_JOINING), 1);
    pool_started(w->pool, 1, w->now);
    assert_int_equal(play_in_state(w, WORKER_JOINING), 1);
    play_answer(w, 1, 0, "\"success\":true");
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_succeed(w, 1); /* the call that waited for it */
    assert_true(c->done && c->code == CODE_OK);
    assert_string_equal(c->value, "2");
    play_end(w);
}

static void what_cannot_be_started_is_told_and_tried_again_E_07(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();
    struct call *c;
    uint64_t id = 1;

    (void)state;
    play_begin(w, 1, 0);
    w->settings.queue_wait_us = w->settings.start_us = 3600 * CLOCK_S;
    pool_set(w->pool, &w->settings, false, w->now);
    c = play_ask(w, 0, NULL);
    for (; !c->done; id++) {
        assert_true(id < 10);
        play_pass(w, 60 * CLOCK_S);
        pool_ended(w->pool, w->newest, STR("there is no program \"nope\""), w->now);
    }
    assert_int_equal(id, 6); /* five starts */
    play_check_refused(c, CODE_WORKER_INIT_FAILED);
    assert_non_null(strstr(c->value, "nope"));
    play_check_refused(play_ask(w, 1, NULL), CODE_WORKER_INIT_FAILED);
    play_pass(w, 60 * CLOCK_S);
    play_start(w, w->newest);
    c = play_ask(w, 1, NULL);
    play_succeed(w, w->newest);
    assert_int_equal(c->code, CODE_OK);
    for (uint64_t i = 1; i < w->newest; i++)
        w->processes[i].over = true;
    play_end(w);
}

static void who_is_not_ready_in_time_is_given_up(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin(w, 1, 0);
    pool_started(w->pool, 1, w->now);
    play_pass(w, w->settings.start_us - 1);
    assert_false(w->processes[1].killed);
    play_pass(w, 1);
    assert_true(w->processes[1].killed);
    play_pass(w, 60 * CLOCK_S);
    assert_int_equal(w->newest, 1); /* none in its place before it is dead */
    play_die(w, 1);
    play_pass(w, CLOCK_S);
    assert_int_equal(w->newest, 2);
    play_end(w);
}

static void who_never_answers_is_replaced(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, NULL);
    play_pass(w, 30 * CLOCK_S);
    play_check_refused(&w->calls[0], CODE_CALL_TIMEOUT);
    play_pass(w, 5 * CLOCK_S - 1);
    assert_false(w->processes[1].killed);
    play_pass(w, 1);
    assert_true(w->processes[1].killed);
    assert_int_equal(w->newest, 1);
    play_die(w, 1);
    assert_int_equal(w->newest, 2);
    play_end(w);
}

static void health_is_asked_for_E_14_E_15(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 0);
    play_pass(w, 30 * CLOCK_S - 1);
    assert_int_equal(w->processes[1].asked_n, 0);
    play_pass(w, 1);
    assert_int_equal(w->processes[1].asked_n, 1);
    play_succeed(w, 1);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_pass(w, 30 * CLOCK_S);
    play_pass(w, 5 * CLOCK_S);
    assert_int_equal(play_in_state(w, WORKER_SUSPECT), 1);
    play_succeed(w, 1);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_pass(w, 40 * CLOCK_S);
    assert_true(w->processes[1].killed);
    play_end(w);
}

static void garbage_ends_the_process_alone(void **state)
{
    static const struct {
        const char *name;
        struct str bytes;
        const char *text;
    } rows[] = {
        {"printed text",   STR("Loading the model\n"),                    "it printed text"       },
        {"4 GiB",          STR("\xff\xff\xff\xff"),                       "4294967295 bytes"      },
        {"no bytes",       STR("\0\0\0\0"),                               "0 bytes"               },
        {"no JSON",        STR("\0\0\0\2{x"),                             "is not JSON"           },
        {"no id",          STR("\0\0\0\x10{\"success\":true}"),           "has no id"             },
        {"never asked",    STR("\0\0\0\x18{\"id\":99,\"success\":true}"), "it was never asked"    },
        {"answered twice", STR("\0\0\0\x17{\"id\":1,\"success\":true}"),  "it had answered before"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        CLEANUP(memory_freep) struct world *w = play_new();
        struct call *c, *other;

        play_begin_ready(w, 2, 0);
        c = play_ask(w, 0, "s");
        other = play_ask(w, 1, NULL);
        play_say(w, 1, rows[i].bytes);
        CHECK_ROW(rows[i].name, c->done && c->code == CODE_SESSION_LOST);
        CHECK_ROW(rows[i].name, strstr(c->value, rows[i].text));
        CHECK_ROW(rows[i].name, w->processes[1].killed && !w->processes[2].killed);
        play_succeed(w, 2);
        CHECK_ROW(rows[i].name, other->code == CODE_OK);
        play_die(w, 1);
        CHECK_ROW(rows[i].name, w->newest == 3);
        play_end(w);
    }
}

static void half_a_frame_is_nothing(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, NULL);
    play_say(w, 1, STR("\0\0\0\x17{\"id\":"));
    play_pass(w, 30 * CLOCK_S);
    play_check_refused(&w->calls[0], CODE_CALL_TIMEOUT);
    play_pass(w, 5 * CLOCK_S);
    assert_true(w->processes[1].killed);
    play_end(w);
}

static void a_call_without_a_session_is_lost_with_its_process(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, NULL);
    play_ask(w, 1, NULL);
    play_die(w, 1);
    play_check_refused(&w->calls[0], CODE_WORKER_LOST);
    assert_false(w->calls[1].done);
    play_start(w, 2);
    play_succeed(w, 2);
    assert_int_equal(w->calls[1].code, CODE_OK);
    play_end(w);
}

static void a_process_that_has_served_is_replaced_before_it_goes(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.recycle.calls = 10;
    w->settings.health_us = 10000 * CLOCK_S;
    play_begin_ready(w, 1, 0);
    for (unsigned i = 0; i < 8; i++) {
        play_ask(w, 0, NULL);
        play_succeed(w, 1);
    }
    assert_int_equal(w->newest, 1);
    for (unsigned i = 0; i < 4; i++) {
        play_ask(w, 0, NULL);
        play_succeed(w, 1);
    }
    assert_int_equal(w->newest, 2);
    assert_false(w->processes[1].killed);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    play_start(w, 2);
    assert_int_equal(play_in_state(w, WORKER_READY), 1);
    assert_true(w->processes[1].killed);
    play_ask(w, 0, NULL);
    play_succeed(w, 2);
    assert_int_equal(w->calls[0].code, CODE_OK);
    play_end(w);
}

static void memory_is_limited(void **state)
{
    CLEANUP(memory_freep) struct world *w = play_new();

    (void)state;
    w->settings = pool_default(2);
    w->settings.memory_limit_bytes = 1000;
    play_begin_ready(w, 1, 0);
    play_ask(w, 0, NULL);
    pool_memory(w->pool, 1, 1000, w->now);
    assert_false(w->processes[1].killed);
    pool_memory(w->pool, 1, 1001, w->now);
    assert_true(w->processes[1].killed);
    play_check_refused(&w->calls[0], CODE_WORKER_LOST);
    play_end(w);
}

/* Random storms. Whatever happens, each call that was taken is answered once and with what its own
 * process said to its own id, no session is in two processes, and at the end all is calm. */

static void storm_step(struct world *w)
{
    unsigned i = (unsigned)prng_below(&w->prng, CALLS_MAX);
    uint64_t id =
        w->newest > 6 ? w->newest - prng_below(&w->prng, 6) : 1 + prng_below(&w->prng, w->newest);
    static const char *const sessions[] = {NULL, "a", "b", "c", "d"};
    struct process *p = &w->processes[id];
    struct call *c = &w->calls[i];

    switch (prng_below(&w->prng, 40)) {
    case 0:
        if (p->asked && !p->over)
            play_die(w, id);
        break;
    case 1:
        if (p->asked && !p->over)
            play_say(w, id, STR("garbage"));
        break;
    case 2:
        if (c->taken && !c->done) {
            pool_cancel(w->pool, &c->call, w->now);
            c->done = true;
        }
        break;
    case 3:
        play_pass(w, (int64_t)prng_below(&w->prng, 3 * CLOCK_S));
        break;
    case 4:
        pool_end(w->pool, str_of(sessions[1 + prng_below(&w->prng, 4)]), w->now);
        break;
    case 5:
        pool_open(w->pool, str_of(sessions[1 + prng_below(&w->prng, 4)]), w->now);
        break;
    default:
        if (p->asked && !p->over && p->killed && prng_below(&w->prng, 4) == 0)
            play_die(w, id);
        else if (p->asked && !p->over && !p->started && !p->killed)
            play_start(w, id);
        else if (p->asked && !p->over && p->asked_n && prng_below(&w->prng, 2))
            play_succeed(w, id);
        else if (!c->taken || c->done)
            play_ask_with(w, i, sessions[prng_below(&w->prng, 5)],
                          (enum lend_affinity)prng_below(&w->prng, 3),
                          prng_below(&w->prng, 4) ? INT64_MAX : w->now + 300 * MS);
        break;
    }
}

static void storms_end_in_calm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        CLEANUP(memory_freep) struct world *w = play_new();

        prng_seed(&w->prng, seed);
        w->settings = pool_default(2);
        w->settings.in_flight = 1 + (unsigned)seed % 3;
        w->settings.sessions = 1 + (unsigned)seed % 2;
        w->settings.call_us = CLOCK_S;
        w->settings.suspect_us = CLOCK_S;
        w->settings.session_idle_us = 20 * CLOCK_S;
        w->settings.recycle.calls = seed % 4 ? 0 : 20;
        play_begin(w, 1 + (unsigned)seed % 4, (unsigned)seed % 3);
        w->able = "{\"in_flight\":3,\"sessions\":2}";
        for (unsigned n = 0; n < 1500 && w->newest < PROCESSES_MAX - 100; n++) {
            storm_step(w);
            w->ended[0] = '\0';
            pool_check(w->pool);
        }
        for (unsigned n = 0; n < 200; n++) { /* calm: all that lives answers, what is killed dies */
            play_pass(w, 500 * MS);
            for (uint64_t id = 1; id <= w->newest; id++) {
                struct process *p = &w->processes[id];

                if (p->over || !p->asked)
                    continue;
                if (p->killed)
                    play_die(w, id);
                else if (!p->started)
                    play_start(w, id);
                while (!p->over && !p->killed && p->asked_n)
                    play_succeed(w, id);
            }
            w->ended[0] = '\0';
        }
        for (unsigned i = 0; i < CALLS_MAX; i++)
            assert_true(!w->calls[i].taken || w->calls[i].done);
        assert_int_equal(play_in_state(w, WORKER_READY), 1 + (unsigned)seed % 4);
        play_end(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_ready_once_its_ping_is_answered_E_06),
        cmocka_unit_test(what_cannot_be_started_is_told_and_tried_again_E_07),
        cmocka_unit_test(who_is_not_ready_in_time_is_given_up),
        cmocka_unit_test(who_never_answers_is_replaced),
        cmocka_unit_test(health_is_asked_for_E_14_E_15),
        cmocka_unit_test(garbage_ends_the_process_alone),
        cmocka_unit_test(half_a_frame_is_nothing),
        cmocka_unit_test(a_call_without_a_session_is_lost_with_its_process),
        cmocka_unit_test(a_process_that_has_served_is_replaced_before_it_goes),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(storms_end_in_calm),
    };

    log_setup(LOG_ERROR, LOG_PLAIN); /* what is lost on purpose is no news */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
