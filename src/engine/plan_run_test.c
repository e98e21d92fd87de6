/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as they run: what waits for what, what is not needed any more, what awaits what it added.
 */
#include "engine/plan_testing.h"

/* D-27. */
static void a_diamond(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    const struct plan_stage stages[] = {
        plans_stage(w, "d", "b c", ""),
        plans_stage(w, "a", "", ""),
        plans_stage(w, "b", "a", ""),
        plans_stage(w, "c", "a", ""),
    };
    struct plan_written reply = plans_write(w, run, NULL, 0, stages, 4);

    assert_int_equal(reply.stages[0].state, TASK_BLOCKED);
    assert_int_equal(reply.stages[1].state, TASK_READY);
    CHECK_TEXT(reply.stages[1].name, "a");
    assert_int_equal(reply.stages[1].version, 1);
    assert_int_equal(plans_seal(w, run), RUN_RUNNING);
    world_healthy(w);
    plans_do(w, run, "a", OUTCOME_SUCCEEDED);
    plans_do(w, run, "c", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "BLOCKED");
    plans_do(w, run, "b", OUTCOME_SUCCEEDED);
    plans_do(w, run, "d", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_state(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* D-29, D-03: a source, four at once, one check that all of them answer, a sink. */
static void fan_out_and_in(void **state)
{
    static const char *const middle[] = {"a", "b", "c", "d"};
    struct world *w = world(state);
    int64_t run = plans_create(w);
    const struct plan_check k = plans_check(w, "k", "source");
    const struct check_update yes = {.check = STR("k")};
    const struct plan_stage stages[] = {
        plans_stage(w, "sink", "k", ""),    plans_stage(w, "source", "", ""),
        plans_stage(w, "a", "source", "k"), plans_stage(w, "b", "source", "k"),
        plans_stage(w, "c", "source", "k"), plans_stage(w, "d", "source", "k"),
    };

    plans_write(w, run, &k, 1, stages, ROWS_N(stages));
    plans_do(w, run, "source", OUTCOME_SUCCEEDED);
    for (size_t i = 0; i < ROWS_N(middle); i++) {
        struct task_lease l = plans_take(w, run, middle[i]);

        CHECK_STATE(w, run, "k", "READY");
        CHECK_STATE(w, run, "sink", "BLOCKED");
        assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    }
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    assert_int_equal(world_task(w, run, "k").task.plan->results_n, 4);
    plans_do(w, run, "sink", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_seal(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* Of k-of-n, what failed is not among those that met it; what is written later counts at once. */
static void at_least_two_of_three(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct retry_policy once = retry_default();
    struct plan_stage stages[] = {plans_stage(w, "a", "", ""), plans_stage(w, "b", "", ""),
                                  plans_stage(w, "c", "", ""), plans_stage(w, "d", "", "")};

    once.max_attempts = 1;
    stages[0].retry = &once;
    stages[3].groups = plans_group(w, GROUP_AT_LEAST, 2, "a b c");
    stages[3].groups_n = 1;
    plans_write(w, run, NULL, 0, stages, 4);
    plans_do(w, run, "a", OUTCOME_FAILED);
    plans_do(w, run, "c", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "BLOCKED");
    plans_do(w, run, "b", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "d", "READY");
    CHECK_TEXT(world_task(w, run, "d").groups[0].satisfied, "[\"b\",\"c\"]");
    stages[3].name = STR("e");
    plans_write_stage(w, run, stages[3]);
    CHECK_STATE(w, run, "e", "READY");
    CHECK_TEXT(world_task(w, run, "e").groups[0].satisfied, "[\"b\",\"c\"]");
    plans_write_stage(w, run, plans_stage(w, "f", "a", ""));
    CHECK_STATE(w, run, "f", "SKIPPED");
    CHECK_TEXT(world_task(w, run, "f").task.detail, "a is FAILED");
    world_healthy(w);
}

static void a_plan_is_not_retried(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct run_retry_reply retried;
    struct task_details d;

    plans_write_check(w, run, plans_check(w, "k", ""));
    assert_int_equal(plans_seal(w, run), RUN_FAILED);
    REFUSED(w, run_retry(&w->tx, &run, &retried), CODE_INVALID);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("k")}, &d),
            CODE_INVALID);
}

/* D-33: any one of two is enough, it is said which, and the other is not needed any more. */
static void one_of_two(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage stages[] = {plans_stage(w, "a", "", ""), plans_stage(w, "b", "", ""),
                                  plans_stage(w, "c", "", "")};
    struct plan_group *g = plans_group(w, GROUP_ONE_SUCCESS, 0, "a b");
    struct task_details d;

    g->cancel_rest = true;
    stages[2].groups = g;
    stages[2].groups_n = 1;
    plans_write(w, run, NULL, 0, stages, 3);
    plans_do(w, run, "b", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "c", "READY");
    CHECK_STATE(w, run, "a", "CANCELLED");
    d = world_task(w, run, "c");
    CHECK_TEXT(d.groups[0].satisfied, "[\"b\"]");
    plans_do(w, run, "c", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_seal(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* The same where the group is met when it is written: what is not needed any more may run, wait for
 * something, or come with the same write. */
static void one_that_sufficed_before(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage stages[] = {plans_stage(w, "new", "", ""), plans_stage(w, "e", "", "")};
    struct plan_group *g = plans_group(w, GROUP_ONE_SUCCESS, 0, "a b c d new");
    struct task_lease l;
    struct task_details d;

    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    plans_write_stage(w, run, plans_stage(w, "b", "", ""));
    plans_write_stage(w, run, plans_stage(w, "c", "late", ""));
    plans_write_stage(w, run, plans_stage(w, "d", "", ""));
    plans_do(w, run, "a", OUTCOME_SUCCEEDED);
    l = plans_take(w, run, "d");
    g->cancel_rest = true;
    stages[1].groups = g;
    stages[1].groups_n = 1;
    plans_write(w, run, NULL, 0, stages, 2);
    CHECK_STATE(w, run, "b", "CANCELLED");
    CHECK_STATE(w, run, "c", "CANCELLED");
    CHECK_STATE(w, run, "new", "CANCELLED");
    assert_true(world_task(w, run, "d").task.cancel);
    d = world_task(w, run, "e");
    assert_int_equal(d.task.state, TASK_READY);
    CHECK_TEXT(d.groups[0].satisfied, "[\"a\"]");
    assert_int_equal(plans_end(w, &l, OUTCOME_CANCELLED, NULL, 0), CODE_OK);
    plans_do(w, run, "e", OUTCOME_SUCCEEDED);
    plans_seal(w, run);
    world_healthy(w);
}

static void cancelling_seals(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w), empty = plans_create(w);
    struct run_row row;

    plans_write_stage(w, run, plans_stage(w, "a", "x", ""));
    DO(w, run_cancel(&w->tx, &run, &row));
    assert_int_equal(row.state, RUN_CANCELLED);
    DO(w, run_cancel(&w->tx, &empty, &row));
    assert_int_equal(row.state, RUN_CANCELLED);
    assert_false(row.growing);
    world_healthy(w);
}

/* what a stage adds while it runs ends before it. */
static void stages_that_add_stages(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage child = plans_stage(w, "child", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_written reply;
    struct task_lease l;

    plans_write_stage(w, run, plans_stage(w, "parent", "", ""));
    plans_write_stage(w, run, plans_stage(w, "after", "parent", ""));
    l = plans_take(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    CHECK_TEXT(reply.stages[0].plan->parent_name, "parent");
    world_healthy(w);
    assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, NULL, 0), CODE_OK);
    CHECK_STATE(w, run, "parent", "AWAITING");
    CHECK_STATE(w, run, "after", "BLOCKED");
    child.name = STR("late");
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_LEASE_LOST);
    plans_seal(w, run);
    world_healthy(w);
    plans_do(w, run, "child", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "parent", "SUCCEEDED");
    plans_do(w, run, "after", OUTCOME_SUCCEEDED);
    assert_int_equal(plans_state(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

static void what_awaits_is_cancelled_with_its_run(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage child = plans_stage(w, "child", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_written reply;
    struct task_lease l;
    struct run_row row;

    plans_write_stage(w, run, plans_stage(w, "parent", "", ""));
    l = plans_take(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    plans_end(w, &l, OUTCOME_SUCCEEDED, NULL, 0);
    DO(w, run_cancel(&w->tx, &run, &row));
    CHECK_STATE(w, run, "parent", "CANCELLED");
    CHECK_STATE(w, run, "child", "CANCELLED");
    assert_int_equal(row.state, RUN_CANCELLED);
    world_healthy(w);
}

/* What a stage added is awaited by whichever attempt succeeds. */
static void a_later_attempt_awaits_too(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_stage child = plans_stage(w, "child", "", ""),
                      other = plans_stage(w, "other", "", "");
    struct plan_write req = {.run = run, .stages = &child, .stages_n = 1};
    struct plan_stage parent = plans_stage(w, "parent", "", "");
    struct retry_policy at_once = retry_asked();
    struct plan_written reply;
    struct task_lease l;

    at_once.max_attempts = 2;
    at_once.base_us = 0;
    parent.retry = &at_once;
    plans_write_stage(w, run, parent);
    l = plans_take(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    DO(w, plan_write(&w->tx, &req, &reply));
    plans_end(w, &l, OUTCOME_FAILED, NULL, 0);
    CHECK_STATE(w, run, "parent", "READY");
    world_healthy(w);
    plans_do(w, run, "child", OUTCOME_SUCCEEDED);
    l = plans_take(w, run, "parent");
    req.writer = (struct lease_ref){l.task, l.token};
    req.stages = &other;
    DO(w, plan_write(&w->tx, &req, &reply));
    plans_end(w, &l, OUTCOME_SUCCEEDED, NULL, 0);
    CHECK_STATE(w, run, "parent", "AWAITING");
    plans_do(w, run, "other", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "parent", "SUCCEEDED");
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(a_diamond),
        ENGINE_TESTS(fan_out_and_in),
        ENGINE_TESTS(one_of_two),
        ENGINE_TESTS(one_that_sufficed_before),
        ENGINE_TESTS(at_least_two_of_three),
        ENGINE_TESTS(a_plan_is_not_retried),
        ENGINE_TESTS(cancelling_seals),
        ENGINE_TESTS(stages_that_add_stages),
        ENGINE_TESTS(what_awaits_is_cancelled_with_its_run),
        ENGINE_TESTS(a_later_attempt_awaits_too),
    };

    return ENGINE_MAIN(tests);
}
