/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"

static void check(const struct script *t)
{
    if (t->result.check)
        fail_msg("%s: %s", t->result.check, t->result.text);
}

/* With the last look at the store. */
static void end(struct script *t)
{
    script_look(t);
    check(t);
    script_end(t);
}

/* SCARS 4: the owner stalls past its lease, wakes and completes: it is refused, visibly. */
static void scar_04_a_stalled_owner_is_refused(void **state)
{
    struct script t;
    struct sim_worker *stalled, *other;

    (void)state;
    script_begin(&t, 1);
    stalled = script_worker(
        &t, &(struct sim_worker_options){
                .guest = true, .slots = 1, .ttl_us = 10 * CLOCK_S, .work_us = 5 * CLOCK_S});
    script_enqueue(&t, 1);
    script_run(&t, 4 * CLOCK_S);
    assert_int_equal(sim_worker_jobs(stalled), 1);
    sim_worker_sleep(stalled, 60 * CLOCK_S);
    script_run(&t, 40 * CLOCK_S);
    other = script_worker(
        &t, &(struct sim_worker_options){
                .guest = true, .slots = 1, .ttl_us = 60 * CLOCK_S, .work_us = 30 * CLOCK_S});
    assert_true(script_rest(&t));
    check(&t);
    assert_int_equal(sim_worker_done(stalled), 0);
    assert_int_equal(sim_worker_refused(stalled), 1);
    assert_int_equal(sim_worker_done(other), 1);
    assert_int_equal(script_count(&t, TASK_SUCCEEDED), 1);
    end(&t);
}

/* A server dies with a task in hand, and its worker's heartbeat finds another. */
static void a_server_dies(void **state)
{
    struct script t;

    (void)state;
    script_begin(&t, 2);
    script_worker(&t, &(struct sim_worker_options){
                          .slots = 2, .ttl_us = 10 * CLOCK_S, .work_us = 3 * CLOCK_S});
    script_enqueue(&t, 5);
    script_run(&t, 2 * CLOCK_S);
    sim_server_kill(t.sim->servers[0]);
    assert_true(script_rest(&t));
    check(&t);
    assert_int_equal(script_count(&t, TASK_SUCCEEDED), 5);
    end(&t);
}

/* Whoever waits is woken: between two of its claims a worker rests for half a second at most. */
static void what_comes_is_taken_at_once(void **state)
{
    const struct sim_worker_options idle = {
        .slots = 1, .ttl_us = 10 * CLOCK_S, .work_us = 100 * CLOCK_MS};
    struct script t;

    (void)state;
    script_begin(&t, 1);
    script_worker(&t, &idle);
    for (int i = 0; i < 20; i++) {
        script_run(&t, 3 * CLOCK_S);
        script_enqueue(&t, 1);
        script_run(&t, 600 * CLOCK_MS);
        assert_int_equal(script_count(&t, TASK_READY), 0);
    }
    assert_true(script_rest(&t));
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scar_04_a_stalled_owner_is_refused),
        cmocka_unit_test(a_server_dies),
        cmocka_unit_test(what_comes_is_taken_at_once),
    };

    log_setup(LOG_ERROR, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
