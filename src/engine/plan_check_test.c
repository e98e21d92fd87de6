/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of plans: how they are planned, what results they take, how they are concluded. */
#include "engine/plan_testing.h"

/* D-28: strictly one after the other, through the check that each answers; D-58. */
static void a_chain_of_checks(void **state)
{
    enum { N = 5 };
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check checks[N];
    struct plan_stage stages[N];

    for (int i = 0; i < N; i++) {
        const char *k = str_printf(&w->arena, "k%d", i).p;

        checks[i] = plans_check(w, k, "");
        stages[i] = plans_stage(w, str_printf(&w->arena, "s%d", i).p,
                                i ? str_printf(&w->arena, "k%d", i - 1).p : "", k);
    }
    plans_write(w, run, checks, N, stages, N);
    plans_seal(w, run);
    for (int i = 0; i < N; i++) {
        const struct check_update yes = {.check = checks[i].name, .finalize = true};
        struct task_lease l;

        for (int j = i + 1; j < N; j++)
            CHECK_STATE(w, run, stages[j].name.p, "BLOCKED");
        l = plans_take(w, run, stages[i].name.p);
        assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    }
    assert_int_equal(plans_state(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* A stage that is assigned after the others have ended opens the question again. */
static void another_stage_may_answer(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check k = plans_check(w, "k", "");
    struct retry_policy once = retry_default();
    struct plan_stage s = plans_stage(w, "first", "", "k");
    const struct check_update yes = {.check = STR("k")};
    struct task_lease l;

    once.max_attempts = 1;
    s.retry = &once;
    plans_write(w, run, &k, 1, &s, 1);
    plans_do(w, run, "first", OUTCOME_FAILED);
    CHECK_STATE(w, run, "k", "READY");
    plans_write_stage(w, run, plans_stage(w, "second", "", "k"));
    world_healthy(w);
    plans_seal(w, run);
    CHECK_STATE(w, run, "k", "READY");
    l = plans_take(w, run, "second");
    assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, &yes, 1), CODE_OK);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    assert_int_equal(plans_state(w, run), RUN_FAILED);
    world_healthy(w);
}

/* A final result that comes while the check waits for others is kept for when it does not. */
static void a_result_may_come_early(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    const struct check_update yes = {.finalize = true};
    struct plan_check k = plans_check(w, "k", "a");

    k.result = &yes;
    plans_write_check(w, run, k);
    CHECK_STATE(w, run, "k", "BLOCKED");
    plans_write_stage(w, run, plans_stage(w, "a", "", ""));
    plans_do(w, run, "a", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    world_healthy(w);
}

/* A check moves on when nobody is left to answer it. */
static void checks_are_concluded(void **state)
{
    static const struct check_update yes =
                                         {
                                             .data = {"1", 1}
    },
                                     no = {.failed = true};
    static const struct {
        const char *name;
        const struct check_update *result; /* NULL: none */
        bool finalize, sealed;
        enum outcome outcome; /* of the one stage that is assigned */
        const char *state, *reason;
    } rows[] = {
        {"a result",                        &yes, false, false, OUTCOME_SUCCEEDED, "SUCCEEDED", ""            },
        {"a failure",                       &no,  false, false, OUTCOME_SUCCEEDED, "FAILED",    "check_failed"},
        {"none",                            NULL, false, false, OUTCOME_SUCCEEDED, "FAILED",    "no_result"   },
        {"the stage failed, and it grows",  NULL, false, false, OUTCOME_FAILED,    "READY",
         "waiting_for_results"                                                                                },
        {"the stage failed, and no more",   NULL, false, true,  OUTCOME_FAILED,    "FAILED",    "no_result"   },
        {"a result of a stage that failed", &yes, false, true,  OUTCOME_FAILED,    "SUCCEEDED", ""            },
        {"a final result",                  &yes, true,  false, OUTCOME_FAILED,    "SUCCEEDED", ""            },
        {"a final failure",                 &no,  true,  false, OUTCOME_SUCCEEDED, "FAILED",    "check_failed"},
    };
    struct world *w = world(state);

    for (size_t i = 0; i < ROWS_N(rows); i++) {
        struct retry_policy once = retry_default();
        int64_t run = plans_create(w);
        struct plan_check c = plans_check(w, "k", "");
        struct plan_stage s = plans_stage(w, "s", "", "k");
        struct check_update update = {0};
        struct task_lease l;
        struct task_details d;

        w->row = rows[i].name;
        once.max_attempts = 1;
        s.retry = &once;
        plans_write(w, run, &c, 1, &s, 1);
        CHECK_STATE(w, run, "k", "READY");
        if (rows[i].sealed)
            plans_seal(w, run);
        l = plans_take(w, run, "s");
        if (rows[i].result)
            update = *rows[i].result;
        update.check = STR("k");
        update.finalize = rows[i].finalize;
        assert_int_equal(plans_end(w, &l, rows[i].outcome, &update, rows[i].result != NULL),
                         CODE_OK);
        d = world_task(w, run, "k");
        CHECK_ROW(rows[i].name, str_eq(task_state_text(d.task.state), str_of(rows[i].state)));
        CHECK_ROW(rows[i].name, str_eq(d.task.reason, str_of(rows[i].reason)));
        CHECK_ROW(rows[i].name, d.task.plan->results_n == (rows[i].result != NULL));
        if (rows[i].result)
            CHECK_TEXT(d.task.plan->results[0].owner, "s:1");
        world_healthy(w);
    }
}

/* D-46, D-38: said twice is said once; what the first says of checks and lets go is one step. */
static void results_come_with_the_end(void **state)
{
    static const struct check_update updates[] = {
        {.check = {"k", 1}, .data = {"1", 1}, .finalize = true},
        {.check = {"l", 1}, .data = {"2", 1}, .finalize = true},
    };
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check checks[] = {plans_check(w, "k", ""), plans_check(w, "l", "")};
    struct plan_stage stages[] = {plans_stage(w, "s", "", "k l"), plans_stage(w, "t", "k", ""),
                                  plans_stage(w, "u", "", "")};
    struct check_update other = updates[0];
    struct task_lease l, m;

    plans_write(w, run, checks, 2, stages, 3);
    l = plans_take(w, run, "s");
    m = plans_take(w, run, "u");
    assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, updates, 2), CODE_OK);
    CHECK_STATE(w, run, "k", "SUCCEEDED");
    CHECK_STATE(w, run, "l", "SUCCEEDED");
    CHECK_STATE(w, run, "t", "READY");
    assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, updates, 2), CODE_OK);
    other.data = STR("3");
    assert_int_equal(plans_end(w, &l, OUTCOME_SUCCEEDED, &other, 1), CODE_COMPLETION_CONFLICT);
    assert_int_equal(plans_end(w, &m, OUTCOME_SUCCEEDED, &other, 1), CODE_CHECK_FINAL);
    other.check = STR("nobody");
    assert_int_equal(plans_end(w, &m, OUTCOME_SUCCEEDED, &other, 1), CODE_TASK_NOT_FOUND);
    CHECK_STATE(w, run, "u", "RUNNING");
    assert_int_equal(world_task(w, run, "k").task.plan->results_n, 1);
    world_healthy(w);
}

static void results_are_written_from_outside(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    const struct check_update result = {
        .data = {"true", 4},
          .finalize = true
    };
    struct plan_check c = plans_check(w, "k", "");
    const struct plan_write req = {.run = run, .checks = &c, .checks_n = 1};
    struct plan_written reply;
    struct task_details d;

    plans_write_check(w, run, c);
    c = (struct plan_check){.name = STR("k"), .result = &result, .owner = STR("me")};
    DO(w, plan_write(&w->tx, &req, &reply));
    assert_int_equal(reply.checks[0].state, TASK_SUCCEEDED);
    assert_int_equal(reply.checks[0].plan->check_state, PLAN_FINAL);
    d = world_task(w, run, "k");
    CHECK_TEXT(d.task.plan->results[0].owner, "me");
    REFUSED(w, plan_write(&w->tx, &req, &reply), CODE_CHECK_FINAL);
    world_healthy(w);
}

/* A check that is edited waits for its planners, or for a word. */
static void planning(void **state)
{
    struct world *w = world(state);
    int64_t run = plans_create(w);
    struct plan_check checks[] = {plans_check(w, "k", ""), plans_check(w, "l", "")};
    struct plan_stage s = plans_stage(w, "planner", "", "");
    const struct plan_assignment goal = {.check = STR("k"), .planned = true};
    struct plan_check c;

    checks[0].planning = checks[1].planning = true;
    s.assignments = &goal;
    s.assignments_n = 1;
    plans_write(w, run, checks, 2, &s, 1);
    assert_int_equal(world_task(w, run, "k").task.plan->check_state, PLAN_PLANNING);
    CHECK_TEXT(world_task(w, run, "k").task.reason, "being_planned");
    c = plans_check(w, "l", "x");
    c.planned = true;
    plans_write_check(w, run, c);
    CHECK_TEXT(world_task(w, run, "l").task.reason, "waiting_for_dependencies");
    assert_int_equal(world_task(w, run, "l").task.plan->check_state, PLAN_PLANNED);
    plans_do(w, run, "planner", OUTCOME_SUCCEEDED);
    CHECK_STATE(w, run, "k", "READY");
    assert_int_equal(world_task(w, run, "k").task.plan->check_state, PLAN_WAITING);
    world_healthy(w);
    assert_int_equal(plans_seal(w, run), RUN_FAILED);
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(a_chain_of_checks),
        ENGINE_TESTS(another_stage_may_answer),
        ENGINE_TESTS(a_result_may_come_early),
        ENGINE_TESTS(checks_are_concluded),
        ENGINE_TESTS(results_come_with_the_end),
        ENGINE_TESTS(results_are_written_from_outside),
        ENGINE_TESTS(planning),
    };

    return ENGINE_MAIN(tests);
}
