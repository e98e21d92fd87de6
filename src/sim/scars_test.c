/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to others, as fixed scenarios; test/scars.tsv lists them all. */
#include "base/log.h"
#include "base/test.h"
#include "sim/script.h"

#define MINUTE (60 * CLOCK_S)

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

static struct sim_worker *worker(struct script *t, bool guest, int64_t ttl_us, int64_t work_us)
{
    return script_worker(t, &(struct sim_worker_options){
                                .guest = guest, .slots = 4, .ttl_us = ttl_us, .work_us = work_us});
}

/* A delay that is longer than every lease is waited for, and the task then given out once. */
static void scar_01_a_delay_outlasts_every_lease(void **state)
{
    const struct ask_task later = {.attempts = 3, .delay_us = 10 * MINUTE};
    struct script t;

    (void)state;
    for (int guest = 0; guest <= 1; guest++) {
        struct sim_worker *w;

        script_begin(&t, 2);
        w = worker(&t, guest, 10 * CLOCK_S, 2 * CLOCK_S);
        script_enqueue_tasks(&t, &later, 1);
        script_run(&t, 9 * MINUTE);
        check(&t);
        assert_int_equal(sim_worker_jobs(w) + sim_worker_done(w), 0);
        assert_int_equal(script_count(&t, TASK_DELAYED), 1);
        assert_true(script_rest(&t));
        script_run(&t, 10 * MINUTE);
        check(&t);
        assert_int_equal(sim_worker_done(w), 1);
        assert_int_equal(sim_worker_refused(w), 0);
        assert_int_equal(script_count(&t, TASK_SUCCEEDED), 1);
        end(&t);
    }
}

/* A job that takes longer than anything that looks for orphans waits, and whose owner lives, is
 * done once. */
static void scar_02_a_long_job_of_a_live_owner_is_done_once(void **state)
{
    struct sim_worker *owner, *idle;
    struct script t;

    (void)state;
    script_begin(&t, 2);
    owner = worker(&t, false, 10 * CLOCK_S, 50 * MINUTE);
    script_enqueue(&t, 1);
    script_run(&t, 5 * CLOCK_S);
    assert_int_equal(sim_worker_jobs(owner), 1);
    idle = worker(&t, false, 10 * CLOCK_S, CLOCK_S);
    script_run(&t, 49 * MINUTE);
    assert_int_equal(script_count(&t, TASK_RUNNING), 1);
    assert_true(script_rest(&t));
    check(&t);
    assert_int_equal(sim_worker_done(owner), 1);
    assert_int_equal(sim_worker_refused(owner), 0);
    assert_int_equal(sim_worker_done(idle), 0);
    end(&t);
}

/* A worker that dies and comes again under its name does not pass for the one that held its task:
 * the task is given out again at once, long before the lease of the dead ends. */
static void scar_03_who_restarts_under_its_name_leaves_no_orphans(void **state)
{
    struct sim_worker *w;
    struct script t;

    (void)state;
    script_begin(&t, 2);
    w = worker(&t, false, 30 * MINUTE, 20 * CLOCK_S);
    script_enqueue(&t, 3);
    script_run(&t, 10 * CLOCK_S);
    assert_int_equal(sim_worker_jobs(w), 3);
    sim_worker_crash(w);
    sim_worker_start(w);
    script_run(&t, MINUTE);
    check(&t);
    assert_int_equal(script_count(&t, TASK_SUCCEEDED), 3);
    assert_int_equal(sim_worker_done(w), 3);
    end(&t);
}

/* The machine sleeps for an hour, or its clock is set, ahead or back: no task ends twice, none is
 * forgotten, and who worked before works after. */
static void scar_05_the_clock_jumps(void **state)
{
    static const int64_t jumps[] = {60 * MINUTE, -60 * MINUTE, 3 * MINUTE, -3 * MINUTE};
    struct script t;

    (void)state;
    for (size_t i = 0; i < ROWS_N(jumps); i++) {
        struct sim_worker *a, *b;

        script_begin(&t, 2);
        a = worker(&t, false, 20 * CLOCK_S, 10 * CLOCK_S);
        b = worker(&t, true, 20 * CLOCK_S, 10 * CLOCK_S);
        script_enqueue(&t, 12);
        script_run(&t, 5 * CLOCK_S);
        assert_true(sim_worker_jobs(a) + sim_worker_jobs(b) > 0);
        if (i == 0) { /* those who work stand still with it */
            sim_worker_sleep(a, 60 * MINUTE);
            sim_worker_sleep(b, 60 * MINUTE);
            script_run(&t, 60 * MINUTE);
        } else {
            script_clock(&t, jumps[i]);
        }
        assert_true(script_rest(&t));
        check(&t);
        assert_int_equal(script_count(&t, TASK_SUCCEEDED), 12);
        assert_int_equal(sim_worker_done(a) + sim_worker_done(b), 12);
        script_enqueue(&t, 4);
        script_run(&t, 2 * CLOCK_S);
        assert_true(script_rest(&t));
        check(&t);
        assert_int_equal(sim_worker_done(a) + sim_worker_done(b), 16);
        assert_true(sim_worker_up(a) && sim_worker_up(b));
        end(&t);
    }
}

/* A worker that says it is well and does not get on: the attempt ends at its deadline, and another
 * worker does it. */
static void scar_20_well_and_without_progress(void **state)
{
    const struct ask_task bounded = {.attempts = 3, .timeout_us = 30 * CLOCK_S};
    struct sim_worker *stuck, *other;
    struct script t;

    (void)state;
    script_begin(&t, 1);
    stuck = worker(&t, false, 10 * CLOCK_S, 50 * MINUTE);
    script_enqueue_tasks(&t, &bounded, 1);
    script_run(&t, 5 * CLOCK_S);
    assert_int_equal(sim_worker_jobs(stuck), 1);
    other = worker(&t, false, 10 * CLOCK_S, CLOCK_S);
    script_run(&t, MINUTE);
    check(&t);
    assert_int_equal(sim_worker_done(other), 1);
    assert_int_equal(sim_worker_done(stuck), 0);
    assert_int_equal(script_count(&t, TASK_SUCCEEDED), 1);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scar_01_a_delay_outlasts_every_lease),
        cmocka_unit_test(scar_02_a_long_job_of_a_live_owner_is_done_once),
        cmocka_unit_test(scar_03_who_restarts_under_its_name_leaves_no_orphans),
        cmocka_unit_test(scar_05_the_clock_jumps),
        cmocka_unit_test(scar_20_well_and_without_progress),
    };

    log_setup(LOG_ERROR, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
