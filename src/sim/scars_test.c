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

static const struct ask_stage deploy = {.name = "deploy",
                                        .type = "build",
                                        .async = true,
                                        .timeout_us = 10 * MINUTE,
                                        .accept_us = 5 * CLOCK_S,
                                        .attempts = 3};

static struct sim_runner *runner(struct script *t, enum sim_fault always, int64_t work_us)
{
    return script_runner(t, &(struct sim_runner_options){.type = "build",
                                                         .sync = true,
                                                         .async = true,
                                                         .slots = 4,
                                                         .ttl_us = 10 * CLOCK_S,
                                                         .work_us = work_us,
                                                         .always = always});
}

/* A runner that is given a stage and never accepts it keeps it for the accept deadline, and no
 * longer: another one does it. */
static void scar_18_a_stage_that_is_not_accepted_goes_to_another(void **state)
{
    struct sim_runner *hangs, *well;
    struct script t;

    (void)state;
    script_begin(&t, 2);
    hangs = runner(&t, SIM_RUNNER_HANGS, CLOCK_S);
    script_run(&t, CLOCK_S);
    script_plan(&t, &deploy, 1);
    script_run(&t, 3 * CLOCK_S);
    well = runner(&t, 0, CLOCK_S);
    script_run(&t, CLOCK_S);
    check(&t);
    assert_int_equal(sim_runner_begun(well), 0);
    script_run(&t, 6 * CLOCK_S);
    check(&t);
    assert_int_equal(sim_runner_begun(hangs), 0);
    assert_int_equal(sim_runner_done(well), 1);
    assert_true(script_rest(&t));
    end(&t);
}

/* A runner that promised progress, and says that it is well and nothing else: its stage goes to
 * another. */
static void scar_20_promised_progress_that_does_not_come(void **state)
{
    struct sim_runner *silent, *well;
    struct ask_stage watched = deploy;
    struct script t;

    (void)state;
    watched.progress_us = 2 * CLOCK_S;
    script_begin(&t, 1);
    silent = runner(&t, SIM_RUNNER_SILENT, 50 * MINUTE);
    script_run(&t, CLOCK_S);
    script_plan(&t, &watched, 1);
    script_run(&t, 2 * CLOCK_S);
    assert_int_equal(sim_runner_begun(silent), 1);
    well = runner(&t, 0, 20 * CLOCK_S);
    script_run(&t, MINUTE);
    check(&t);
    assert_int_equal(sim_runner_done(silent), 0);
    assert_int_equal(sim_runner_done(well), 1);
    assert_true(script_rest(&t));
    end(&t);
}

/* Whatever is sent comes twice, and is done once. */
static void scar_21_what_comes_twice_is_done_once(void **state)
{
    struct ask_stage stages[2] = {deploy, deploy};
    struct sim_runner *r;
    struct script t;

    (void)state;
    stages[1].name = "build";
    stages[1].async = false;
    stages[1].accept_us = 0;
    script_begin(&t, 2);
    t.sim->o.profile.per_million[SIM_NET_TWICE] = 1000000;
    r = runner(&t, 0, CLOCK_S);
    script_run(&t, CLOCK_S);
    script_plan(&t, stages, 2);
    script_run(&t, MINUTE);
    check(&t);
    assert_int_equal(sim_runner_begun(r), 2);
    assert_int_equal(sim_runner_done(r), 2);
    assert_true(script_rest(&t));
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scar_01_a_delay_outlasts_every_lease),
        cmocka_unit_test(scar_02_a_long_job_of_a_live_owner_is_done_once),
        cmocka_unit_test(scar_03_who_restarts_under_its_name_leaves_no_orphans),
        cmocka_unit_test(scar_05_the_clock_jumps),
        cmocka_unit_test(scar_18_a_stage_that_is_not_accepted_goes_to_another),
        cmocka_unit_test(scar_20_well_and_without_progress),
        cmocka_unit_test(scar_20_promised_progress_that_does_not_come),
        cmocka_unit_test(scar_21_what_comes_twice_is_done_once),
    };

    log_setup(LOG_ERROR, LOG_PLAIN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
