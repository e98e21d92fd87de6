/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: short histories in which the engine once differed from the model (src/sim/model_plan.h).
 */
#include "engine/engine_testing.h"
#include "engine/grant.h"
#include "engine/plan.h"

static int64_t create(struct world *w)
{
    struct run_row run;

    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    return run.id;
}

static const struct str name_a[] = {
    {"a", 1}
};
/* Waits for a, and once more with another rule. */
static const struct plan_group after_a[] = {
    {.rule = GROUP_ALL_SUCCESS, .from = name_a, .from_n = 1}
};
static const struct plan_group after_a_however[] = {
    {.rule = GROUP_ALL_DONE, .from = name_a, .from_n = 1}
};
static const struct retry_policy once = {.max_attempts = 1, .factor = 1};

static void write_stage(struct world *w, int64_t run, const struct plan_stage *s)
{
    struct plan_written reply;

    DO(w, plan_write(&w->tx, &(struct plan_write){.run = run, .stages = s, .stages_n = 1}, &reply));
}

static int write_check(struct world *w, int64_t run, const struct plan_check *c)
{
    struct plan_written reply;

    return plan_write(&w->tx, &(struct plan_write){.run = run, .checks = c, .checks_n = 1}, &reply);
}

static void seal(struct world *w, int64_t run)
{
    struct run_row row;

    DO(w, plan_seal(&w->tx, &run, &row));
}

static struct task_lease claim(struct world *w, int64_t run)
{
    struct task_leases leases;

    if (!w->worker)
        world_join(w, 100);
    DO(w, plan_claim(&w->tx, &(struct task_claim){.worker = w->worker, .run = run, .max = 1},
                     &leases));
    assert_int_equal(leases.n, 1);
    return leases.list[0];
}

static void fail_a(struct world *w, int64_t run)
{
    struct task_lease l;

    write_stage(w, run, &(struct plan_stage){.name = STR("a"), .retry = &once});
    l = claim(w, run);
    assert_int_equal(world_complete(w, &l, OUTCOME_FAILED), CODE_OK);
}

#define CHECK_STATE(w, run, name, expected)                                                        \
    assert_string_equal(task_state_text(world_task(w, run, name).task.state).p, expected)

/* Its dependencies may still be edited, and nothing is decided before it is planned. */
static void what_is_being_planned_is_not_skipped(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check before = {.name = STR("before"),
                                .planning = true,
                                .has_groups = true,
                                .groups = after_a,
                                .groups_n = 1};
    struct plan_check after = before;
    struct plan_check edited = {.name = STR("after"), .has_groups = true};

    after.name = STR("after");
    DO(w, write_check(w, run, &before));
    fail_a(w, run);
    DO(w, write_check(w, run, &after));
    CHECK_STATE(w, run, "before", "BLOCKED");
    CHECK_STATE(w, run, "after", "BLOCKED");
    world_healthy(w);
    edited.groups = after_a_however;
    edited.groups_n = 1;
    DO(w, write_check(w, run, &edited));
    DO(w, write_check(w, run, &(struct plan_check){.name = STR("after"), .planned = true}));
    CHECK_STATE(w, run, "after", "READY");
    DO(w, write_check(w, run, &(struct plan_check){.name = STR("before"), .planned = true}));
    CHECK_STATE(w, run, "before", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "before").task.detail, "a is FAILED");
    world_healthy(w);
}

/* The same where its planners have ended, and where the run is sealed. */
static void planners_and_sealing_decide(void **state)
{
    static const struct plan_assignment planner = {
        .check = {"k", 1},
          .planned = true
    };
    struct world *w = world(state);
    int64_t run = create(w);
    struct plan_check k = {
        .name = STR("k"), .planning = true, .has_groups = true, .groups = after_a, .groups_n = 1};
    struct plan_check sealed = k, missing = k;
    struct task_lease l;
    static const struct str nobody[] = {
        {"nobody", 6}
    };
    static const struct plan_group after_nobody[] = {
        {.rule = GROUP_ALL_SUCCESS, .from = nobody, .from_n = 1}
    };

    sealed.name = STR("sealed");
    missing.name = STR("missing");
    missing.groups = after_nobody;
    DO(w, write_check(w, run, &k));
    DO(w, write_check(w, run, &sealed));
    DO(w, write_check(w, run, &missing));
    fail_a(w, run);
    write_stage(w, run,
                &(struct plan_stage){.name = STR("planner"),
                                     .has_assignments = true,
                                     .assignments = &planner,
                                     .assignments_n = 1});
    l = claim(w, run);
    CHECK_STATE(w, run, "k", "BLOCKED");
    assert_int_equal(world_complete(w, &l, OUTCOME_SUCCEEDED), CODE_OK);
    CHECK_STATE(w, run, "k", "SKIPPED");
    CHECK_STATE(w, run, "sealed", "BLOCKED");
    seal(w, run);
    CHECK_STATE(w, run, "sealed", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "missing").task.detail, "nobody was never written");
    assert_int_equal(world_look(w, run).run.state, RUN_FAILED);
    world_healthy(w);
}

/* A check that a write skips has no more results by the same write. */
static void what_is_skipped_takes_no_result(void **state)
{
    static const struct check_update yes = {.finalize = true};
    struct world *w = world(state);
    int64_t run = create(w);
    const struct plan_check k = {
        .name = STR("k"), .has_groups = true, .groups = after_a, .groups_n = 1, .result = &yes};

    fail_a(w, run);
    REFUSED(w, write_check(w, run, &k), CODE_CHECK_FINAL);
    world_healthy(w);
}

/* A stage that is READY waits for whom it says after an edit. */
static void an_edit_changes_whom_a_stage_waits_for(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);

    write_stage(w, run, &(struct plan_stage){.name = STR("a"), .type = STR("build")});
    CHECK_TEXT(world_task(w, run, "a").task.reason, "waiting_for_runner");
    write_stage(w, run, &(struct plan_stage){.name = STR("a")});
    CHECK_TEXT(world_task(w, run, "a").task.reason, "waiting_for_worker");
    write_stage(w, run, &(struct plan_stage){.name = STR("a"), .type = STR("build")});
    CHECK_TEXT(world_task(w, run, "a").task.reason, "waiting_for_runner");
    world_healthy(w);
}

/* That somebody asked for its end is something that a writer may have read. */
static void asking_for_an_end_is_a_change(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w), version;
    struct task_details d;
    struct run_row row;

    write_stage(w, run, &(struct plan_stage){.name = STR("a")});
    claim(w, run);
    version = world_task(w, run, "a").task.version;
    DO(w, run_cancel(&w->tx, &run, &row));
    d = world_task(w, run, "a");
    assert_true(d.task.cancel);
    assert_true(d.task.version > version);
}

/* A runner that is done before its acceptance is written awaits what an earlier attempt added. */
static void what_an_earlier_attempt_added_is_awaited(void **state)
{
    struct world *w = world(state);
    int64_t run = create(w);
    const struct plan_stage child = {.name = STR("child")};
    const struct plan_stage a = {.name = STR("a"), .type = STR("build"), .async = true};
    const struct worker_join join = {
        .worker = {.name = STR("r"),
                   .type = STR("build"),
                   .address = STR("r:1"),
                   .modes = PLACEMENT_ASYNC,
                   .ttl_us = 100 * CLOCK_S},
    };
    const struct grant_round round = {.max = 1};
    struct worker_joined joined;
    struct grant_leases leases;
    struct task_codes codes;
    struct plan_written written;
    struct task_lease l;

    write_stage(w, run, &a);
    DO(w, worker_join(&w->tx, &join, &joined));
    DO(w, grant_round(&w->tx, &round, &leases));
    DO(w, grant_accept(&w->tx, &(struct grant_refs){&leases.list[0].lease, 1}, &codes));
    DO(w,
       plan_write(&w->tx,
                  &(struct plan_write){
                      .run = run, .stages = &child, .stages_n = 1, .writer = leases.list[0].lease},
                  &written));
    l = (struct task_lease){.task = leases.list[0].lease.task, .token = leases.list[0].lease.token};
    assert_int_equal(world_complete(w, &l, OUTCOME_REJECTED), CODE_OK);
    DO(w, grant_round(&w->tx, &round, &leases));
    l.token = leases.list[0].lease.token;
    assert_int_equal(world_complete(w, &l, OUTCOME_SUCCEEDED), CODE_OK);
    CHECK_STATE(w, run, "a", "AWAITING");
    world_healthy(w);
}

/* D-38. One completion, and several in one request, tell of several checks. */
static void ends_tell_of_several_checks(void **state)
{
    static const char *const names[] = {"k", "l", "m"};
    static const struct check_update first[] = {
        {.check = {"l", 1}, .finalize = true},
        {.check = {"k", 1}, .finalize = true}
    };
    static const struct check_update second[] = {
        {.check = {"m", 1}, .finalize = true}
    };
    struct world *w = world(state);
    int64_t run = create(w);
    struct task_result results[2] = {
        {.checks = first,  .checks_n = 2},
        {.checks = second, .checks_n = 1}
    };
    struct task_codes codes;

    for (size_t i = 0; i < 3; i++)
        DO(w, write_check(w, run, &(struct plan_check){.name = str_of(names[i])}));
    write_stage(w, run, &(struct plan_stage){.name = STR("a")});
    write_stage(w, run, &(struct plan_stage){.name = STR("b")});
    for (size_t i = 0; i < 2; i++) {
        struct task_lease l = claim(w, run);

        results[i].lease = (struct lease_ref){l.task, l.token};
        results[i].outcome = OUTCOME_SUCCEEDED;
        results[i].exit_code = -1;
    }
    DO(w, task_complete(&w->tx, &(struct task_complete){results, 2}, &codes));
    assert_int_equal(codes.list[0], CODE_OK);
    assert_int_equal(codes.list[1], CODE_OK);
    for (size_t i = 0; i < 3; i++)
        CHECK_STATE(w, run, names[i], "SUCCEEDED");
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(what_is_being_planned_is_not_skipped),
        ENGINE_TESTS(planners_and_sealing_decide),
        ENGINE_TESTS(what_is_skipped_takes_no_result),
        ENGINE_TESTS(an_edit_changes_whom_a_stage_waits_for),
        ENGINE_TESTS(asking_for_an_end_is_a_change),
        ENGINE_TESTS(what_an_earlier_attempt_added_is_awaited),
        ENGINE_TESTS(ends_tell_of_several_checks),
    };

    return ENGINE_MAIN(tests);
}
