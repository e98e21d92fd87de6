/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: what lets a task go, what skips it, and how a run ends and goes on. */
#include "engine/engine_testing.h"

/* Take the first READY task and end it. */
static void next(struct world *w, int64_t run, enum outcome o)
{
    struct task_lease l = world_claim_one(w, run);

    assert_int_equal(world_complete(w, &l, o), CODE_OK);
}

static enum run_state state_of(struct world *w, int64_t run)
{
    return world_look(w, run).run.state;
}

/* A-75, D-27: A first, B and C in any order, D last and once. */
static void diamond(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                                 "  c: {run: [x], needs: [a]}\n  d: {run: [x], needs: [b, c]}\n");
    struct task_leases l;

    world_join(w, 10);
    assert_string_equal(world_states(w, run), "RBBB");
    l = world_claim(w, run, 10);
    assert_int_equal(l.n, 1);
    assert_int_equal(world_claim(w, run, 10).n, 0);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SRRB");
    l = world_claim(w, run, 10);
    assert_int_equal(l.n, 2);
    world_complete(w, &l.list[1], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SrSB");
    world_healthy(w);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SSSR");
    next(w, run, OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    assert_int_equal(world_claim(w, run, 10).n, 0);
    world_healthy(w);
}

/* D-28, D-31: strictly one after the other. */
static void chain(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\ntasks:\n  plan: {run: [x]}\n  build: {run: [x], needs: [plan]}\n"
                       "  test: {run: [x], needs: [build]}\n  pack: {run: [x], needs: [test]}\n"
                       "  deploy: {run: [x], needs: [pack]}\n");
    static const char *const order[] = {"RBBBB", "SRBBB", "SSRBB", "SSSRB", "SSSSR", "SSSSS"};

    world_join(w, 10);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(world_states(w, run), order[i]);
        next(w, run, OUTCOME_SUCCEEDED);
    }
    assert_string_equal(world_states(w, run), order[5]);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* D-29, D-30, D-32: branches go on without each other, the sink waits for all of them. */
static void fan_out_and_in(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\ntasks:\n  source: {run: [x]}\n"
                       "  linux: {run: [build, linux], needs: [source]}\n"
                       "  mac: {run: [build, mac], needs: [source]}\n"
                       "  bsd: {run: [build, bsd], needs: [source]}\n"
                       "  slow: {run: [x], needs: [source]}\n  after: {run: [x], needs: [bsd]}\n"
                       "  sink: {run: [x], needs: [linux, mac, slow, after]}\n");
    struct task_leases l;

    world_join(w, 10);
    next(w, run, OUTCOME_SUCCEEDED);
    l = world_claim(w, run, 10);
    assert_int_equal(l.n, 4);
    CHECK_TEXT(l.list[0].name, "linux");
    assert_true(memmem(l.list[1].payload.p, l.list[1].payload.n, "\"mac\"", 5) != NULL);
    for (size_t i = 0; i < 3; i++)
        world_complete(w, &l.list[i], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SSSSrRB");
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SSSSrSB");
    world_complete(w, &l.list[3], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SSSSSSR");
    next(w, run, OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* D-33 and the trigger rules: after a and b have ended so, x is there. */
static void trigger_rules(void **state)
{
    static const struct {
        const char *needs, *ends, *x; /* S, F or - (still open) of a, b and c */
    } rows[] = {
        {"[a, b, c]",                                   "SS-", "B"},
        {"[a, b, c]",                                   "SSS", "R"},
        {"[a, b, c]",                                   "SF-", "K"},
        {"{all_done: [a, b, c]}",                       "SF-", "B"},
        {"{all_done: [a, b, c]}",                       "FFF", "R"},
        {"{one_success: [a, b, c]}",                    "F--", "B"},
        {"{one_success: [a, b, c]}",                    "FS-", "R"},
        {"{one_success: [a, b, c]}",                    "SSS", "R"},
        {"{one_success: [a, b, c]}",                    "FFF", "K"},
        {"{one_done: [a, b, c]}",                       "---", "B"},
        {"{one_done: [a, b, c]}",                       "F--", "R"},
        {"{one_done: [a, b, c]}",                       "S--", "R"},
        {"{at_least: 2, of: [a, b, c]}",                "S--", "B"},
        {"{at_least: 2, of: [a, b, c]}",                "SF-", "B"},
        {"{at_least: 2, of: [a, b, c]}",                "SFS", "R"},
        {"{at_least: 2, of: [a, b, c]}",                "SS-", "R"},
        {"{at_least: 2, of: [a, b, c]}",                "FF-", "K"},
        {"[a, {one_done: [b, c]}]",                     "S--", "B"},
        {"[a, {one_done: [b, c]}]",                     "-F-", "B"},
        {"[a, {one_done: [b, c]}]",                     "SF-", "R"},
        {"[a, {one_done: [b, c]}]",                     "FS-", "K"},
        {"[{all_done: [a]}, {at_least: 1, of: [b]}]",   "FS-", "R"},
        {"[{all_done: [a]}, {at_least: 1, of: [b]}]",   "-F-", "K"},
        {"[{one_success: [a, b]}, {all_done: [a, b]}]", "S--", "B"},
        {"[{one_success: [a, b]}, {all_done: [a, b]}]", "SF-", "R"},
        {"[{one_success: [a, b]}, {all_done: [a, b]}]", "FF-", "K"},
    };
    struct world *w = world(state);

    world_join(w, 1000);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        const char *name = str_printf(&w->arena, "%s %s", rows[i].needs, rows[i].ends).p;
        int64_t run =
            world_start(w, str_printf(&w->arena,
                                      "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
                                      "  c: {run: [x]}\n  x: {run: [x], needs: %s}\n",
                                      rows[i].needs)
                               .p);
        struct task_leases l = world_claim(w, run, 3);

        w->row = name;
        for (size_t k = 0; k < 3; k++)
            if (rows[i].ends[k] != '-')
                world_complete(w, &l.list[k],
                               rows[i].ends[k] == 'S' ? OUTCOME_SUCCEEDED : OUTCOME_FAILED);
        CHECK_ROW(name, world_states(w, run)[3] == rows[i].x[0]);
    }
    w->row = NULL;
    world_healthy(w);
}

/* All that ends in one request counts at once, whatever the order. */
static void a_batch_of_ends_is_judged_once(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x]}\n"
                       "  d: {run: [x], needs: [a, b, c]}\n  e: {run: [x], needs: [d]}\n"
                       "  f: {run: [x], needs: [{at_least: 2, of: [a, b, c]}]}\n");
    struct task_result list[3];
    struct task_codes codes;
    struct task_leases l;

    world_join(w, 10);
    l = world_claim(w, run, 3);
    for (size_t i = 0; i < 3; i++)
        list[i] = (struct task_result){
            .lease = {l.list[2 - i].task, l.list[2 - i].token},
            .outcome = i ? OUTCOME_SUCCEEDED : OUTCOME_FAILED
        };
    DO(w, task_complete(&w->tx, &(struct task_complete){list, 3}, &codes));
    assert_string_equal(world_states(w, run), "SSFKKR");
    CHECK_TEXT(world_task(w, run, "d").task.detail, "c is FAILED");
    CHECK_TEXT(world_task(w, run, "e").task.detail, "d is SKIPPED");
    world_healthy(w);
}

/* Skips go on in rounds, and all_done takes them for an end. */
static void skips_propagate(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
           "  c: {run: [x], needs: [b]}\n  d: {run: [x], needs: [c, b]}\n"
           "  clean: {run: [x], needs: [{all_done: [d]}]}\n"
           "  one: {run: [x], needs: [{one_done: [d]}]}\n  end: {run: [x], needs: [clean, one]}\n");

    world_join(w, 10);
    next(w, run, OUTCOME_FAILED);
    assert_string_equal(world_states(w, run), "FKKKRRB");
    next(w, run, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "FKKKSSS");
    assert_int_equal(state_of(w, run), RUN_FAILED);
    world_healthy(w);
}

/* A-42: what lies below a failed task is skipped, the run ends, and a retry goes on from there. */
static void failure_skips_and_a_retry_goes_on(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                       "  c: {run: [x], needs: [b]}\n  d: {run: [x], needs: [{all_done: [c]}]}\n");
    struct run_retry_reply retry;
    struct task_lease l;

    world_join(w, 10);
    next(w, run, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_FAILED);
    assert_string_equal(world_states(w, run), "SFKR");
    REFUSED(w, run_retry(&w->tx, &run, &retry), CODE_RUN_ACTIVE);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SFKS");
    assert_int_equal(state_of(w, run), RUN_FAILED);
    world_healthy(w);
    DO(w, run_retry(&w->tx, &run, &retry));
    assert_int_equal(retry.tasks, 2);
    assert_int_equal(retry.run.state, RUN_RUNNING);
    assert_int_equal(retry.run.counts[TASK_READY], 1);
    assert_int_equal(retry.run.counts[TASK_BLOCKED], 1);
    assert_string_equal(world_states(w, run), "SRBS");
    world_healthy(w);
    l = world_claim_one(w, run);
    assert_int_equal(l.attempt, 2);
    world_complete(w, &l, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SSSS");
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    REFUSED(w, run_retry(&w->tx, &run, &retry), CODE_RUN_ENDED);
    world_healthy(w);
}

/* One task is given back, the skipped ones below are judged anew, the others stay. */
static void requeue_of_one_task(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x], needs: [a]}\n"
           "  d: {run: [x], needs: [b]}\n  e: {run: [x], needs: [a, b]}\n");
    struct task_details d;

    world_join(w, 10);
    next(w, run, OUTCOME_FAILED);
    next(w, run, OUTCOME_FAILED);
    assert_string_equal(world_states(w, run), "FFKKK");
    DO(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("a")}, &d));
    assert_int_equal(d.task.state, TASK_READY);
    assert_string_equal(world_states(w, run), "RFBKK");
    assert_int_equal(state_of(w, run), RUN_RUNNING);
    world_healthy(w);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("a")}, &d),
            CODE_TASK_STATE);
    next(w, run, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "SFSKK");
    assert_int_equal(state_of(w, run), RUN_FAILED);
    world_healthy(w);
}

/* It waits for what has failed for good: given back alone, it is skipped again, counted once. */
static void requeue_of_a_skipped_task(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n"
                                 "  c: {run: [x], needs: [b]}\n");
    struct task_details d;

    world_join(w, 10);
    next(w, run, OUTCOME_FAILED);
    DO(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("b")}, &d));
    assert_int_equal(d.task.state, TASK_SKIPPED);
    assert_string_equal(world_states(w, run), "FKK");
    assert_int_equal(state_of(w, run), RUN_FAILED);
    world_healthy(w);
}

/* A retry does not run again what succeeded, even below what is run again. */
static void successes_are_kept(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [{all_done: [a]}]}\n"
           "  c: {run: [x], needs: [{one_done: [a, b]}]}\n  d: {run: [x], needs: [a, b, c]}\n");
    struct run_retry_reply retry;

    world_join(w, 10);
    next(w, run, OUTCOME_FAILED);
    next(w, run, OUTCOME_SUCCEEDED);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "FSSK");
    for (int i = 0; i < 2; i++) {
        DO(w, run_retry(&w->tx, &run, &retry));
        assert_string_equal(world_states(w, run), "RSSB");
        world_healthy(w);
        next(w, run, i ? OUTCOME_SUCCEEDED : OUTCOME_FAILED);
        world_healthy(w);
    }
    assert_string_equal(world_states(w, run), "SSSR");
    next(w, run, OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* A-06: what nobody holds is cancelled at once, what is held when its holder confirms. */
static void cancel_stops_held_and_idle(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(
        w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n  c: {run: [x]}\n"
           "  d: {run: [x], not_before: 1h}\n  e: {run: [x], needs: [{all_done: [a, c]}]}\n");
    struct run_retry_reply retry;
    struct task_details d;
    struct task_leases l;
    struct run_row row;

    world_join(w, 10);
    l = world_claim(w, run, 2);
    DO(w, run_cancel(&w->tx, &run, &row));
    assert_int_equal(row.state, RUN_CANCELLING);
    assert_int_equal(row.counts[TASK_CANCELLED], 3);
    assert_string_equal(world_states(w, run), "rCrCC");
    world_healthy(w);
    DO(w, run_cancel(&w->tx, &run, &row));
    assert_int_equal(row.state, RUN_CANCELLING);
    REFUSED(w, run_retry(&w->tx, &run, &retry), CODE_RUN_ACTIVE);
    REFUSED(w, task_requeue(&w->tx, &(struct task_which){.run = run, .name = STR("b")}, &d),
            CODE_RUN_ACTIVE);
    world_complete(w, &l.list[0], OUTCOME_CANCELLED);
    assert_string_equal(world_states(w, run), "CCrCC");
    world_complete(w, &l.list[1], OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "CCSCC");
    assert_int_equal(state_of(w, run), RUN_CANCELLED);
    REFUSED(w, run_cancel(&w->tx, &run, &row), CODE_RUN_ENDED);
    world_healthy(w);
    DO(w, run_retry(&w->tx, &run, &retry));
    assert_int_equal(retry.tasks, 4);
    assert_string_equal(world_states(w, run), "RBSDB");
    world_healthy(w);
}

/* A failure, a timeout or a loss of a task that is to be stopped is the end of it: no retry. */
static void cancelled_tasks_are_not_tried_again(void **state)
{
    static const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_TIMED_OUT, OUTCOME_REJECTED,
                                            OUTCOME_CANCELLED};
    struct world *w = world(state);
    struct run_row row;
    struct task_lease l;
    int64_t run;

    for (size_t i = 0; i <= ROWS_N(outcomes); i++) {
        run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x], retry: {max_attempts: 9}}\n");
        world_join(w, 10);
        l = world_claim_one(w, run);
        DO(w, run_cancel(&w->tx, &run, &row));
        if (i < ROWS_N(outcomes)) {
            world_complete(w, &l, outcomes[i]);
        } else {
            struct worker_row worker;

            DO(w, worker_leave(&w->tx, &w->worker, &worker));
        }
        assert_string_equal(world_states(w, run), "C");
        assert_int_equal(state_of(w, run), RUN_CANCELLED);
    }
    world_healthy(w);
}

/* A task that its worker cancelled makes no success of the run. */
static void a_cancelled_task_cancels_its_run(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n");
    struct run_retry_reply retry;

    world_join(w, 10);
    next(w, run, OUTCOME_CANCELLED);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_string_equal(world_states(w, run), "CS");
    assert_int_equal(state_of(w, run), RUN_CANCELLED);
    DO(w, run_retry(&w->tx, &run, &retry));
    assert_int_equal(retry.tasks, 1);
    next(w, run, OUTCOME_SUCCEEDED);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

static void max_parallel_is_kept(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\nmax_parallel: 2\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
                       "  c: {run: [x]}\n  d: {run: [x]}\n");
    struct task_leases l;
    struct run_row row;

    world_join(w, 10);
    l = world_claim(w, run, 10);
    assert_int_equal(l.n, 2);
    assert_int_equal(world_claim(w, run, 10).n, 0);
    world_complete(w, &l.list[0], OUTCOME_SUCCEEDED);
    assert_int_equal(world_claim(w, run, 10).n, 1);
    assert_int_equal(world_look(w, run).run.held, 2);
    world_healthy(w);
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = STR("t"), .max_parallel = 3}, &row));
    assert_int_equal(world_claim(w, row.id, 10).n, 3);
    REFUSED(w,
            run_start(&w->tx, &(struct run_start){.workflow = STR("t"), .max_parallel = -1}, &row),
            CODE_INVALID);
    world_healthy(w);
}

/* A-36, A-48: five that crash, one that does not, and the counts say so. */
static void crashes_are_counted(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
                       "  c: {run: [x]}\n  d: {run: [x]}\n  e: {run: [x]}\n  ok: {run: [x]}\n");
    struct task_leases l;
    struct run_view v;

    world_join(w, 10);
    l = world_claim(w, run, 10);
    for (size_t i = 0; i < 5; i++) {
        world_complete(w, &l.list[i], OUTCOME_FAILED);
        v = world_look(w, run);
        assert_int_equal(v.run.counts[TASK_FAILED] + v.run.counts[TASK_RUNNING], 6);
    }
    world_complete(w, &l.list[5], OUTCOME_SUCCEEDED);
    v = world_look(w, run);
    assert_int_equal(v.run.counts[TASK_FAILED], 5);
    assert_int_equal(v.run.counts[TASK_SUCCEEDED], 1);
    assert_int_equal(v.run.failed, 5);
    assert_int_equal(v.run.state, RUN_FAILED);
    CHECK_TEXT(v.run.detail, "5 of 6 tasks failed");
    world_healthy(w);
}

/* A-45: what was put is there for the next program, and a version never changes. */
static void workflows_persist(void **state)
{
    struct world *w = world(state);
    struct workflow_put put = {
        .format = STR("yaml"), .path = STR("f.yaml"), .fallback_name = STR("f")};
    struct workflow_row first, again, second;
    struct workflow_rows list;
    struct run_row run;

    put.source = STR("weft: 1\ntasks:\n  a: {run: [x]}\n");
    DO(w, workflow_put(&w->tx, &put, &first));
    assert_true(first.created);
    DO(w, workflow_put(&w->tx, &put, &again));
    assert_false(again.created);
    assert_int_equal(again.version, 1);
    put.source = STR("weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n");
    DO(w, workflow_put(&w->tx, &put, &second));
    assert_int_equal(second.version, 2);
    CHECK_TEXT(first.kind, "single");
    CHECK_TEXT(second.kind, "graph");
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = STR("f"), .version = 1}, &run));
    assert_int_equal(run.tasks, 1);
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = STR("f")}, &run));
    assert_int_equal(run.tasks, 2);
    REFUSED(w, run_start(&w->tx, &(struct run_start){.workflow = STR("f"), .version = 3}, &run),
            CODE_WORKFLOW_NOT_FOUND);
    REFUSED(w, run_start(&w->tx, &(struct run_start){.workflow = STR("g")}, &run),
            CODE_WORKFLOW_NOT_FOUND);
    DO(w, workflow_list(&w->tx, &(struct workflow_list){.max = 10}, &list));
    assert_int_equal(list.n, 1);
    assert_int_equal(list.list[0].version, 2);
    put.source = STR("weft: 1\ntasks:\n  a: {run: [x], needs: [a]}\n");
    REFUSED(w, workflow_put(&w->tx, &put, &second), CODE_WORKFLOW_INVALID);
    assert_true(w->tx.problem.details_n == 1);
}

/* A-77: a change of a workflow is another version, with its own check for cycles; a live run keeps
 * the tasks and edges that it began with. */
static void a_live_run_keeps_its_version(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x], needs: [a]}\n");
    struct workflow_put put = {
        .format = STR("yaml"), .path = STR("t.yaml"), .fallback_name = STR("t")};
    struct workflow_row row;
    struct run_row other;

    world_join(w, 1);
    next(w, run, OUTCOME_SUCCEEDED);
    put.source = STR("weft: 1\ntasks:\n  a: {run: [x], needs: [b]}\n  b: {run: [x], needs: [a]}\n");
    REFUSED(w, workflow_put(&w->tx, &put, &row), CODE_WORKFLOW_INVALID);
    put.source = STR("weft: 1\ntasks:\n  a: {run: [x], needs: [c]}\n"
                     "  b: {run: [x], needs: [a]}\n  c: {run: [x]}\n");
    DO(w, workflow_put(&w->tx, &put, &row));
    assert_int_equal(row.version, 2);
    assert_string_equal(world_states(w, run), "SR");
    DO(w, run_start(&w->tx, &(struct run_start){.workflow = STR("t")}, &other));
    assert_string_equal(world_states(w, other.id), "BBR");
    next(w, run, OUTCOME_SUCCEEDED);
    assert_int_equal(world_look(w, run).run.version, 1);
    assert_int_equal(state_of(w, run), RUN_SUCCEEDED);
    world_healthy(w);
}

/* A-81, A-82, A-123: names and arguments that look like something else are names and arguments. */
static void hostile_names_stay_data(void **state)
{
    struct world *w = world(state);
    int64_t run =
        world_start(w, "weft: 1\nname: \"'; DROP TABLE run; --\"\ntasks:\n"
                       "  \"$(reboot); x' OR 1=1\": {run: [\"`id`\", \"; rm -rf x\"]}\n"
                       "  \"Zoë ✓ 日本語\": {run: [x], needs: [\"$(reboot); x' OR 1=1\"]}\n");
    struct task_lease l;

    world_join(w, 10);
    l = world_claim_one(w, run);
    CHECK_TEXT(l.name, "$(reboot); x' OR 1=1");
    CHECK_TEXT(l.payload, "{\"argv\":[\"`id`\",\"; rm -rf x\"],\"cwd\":\"\",\"env\":[],"
                          "\"grace_us\":10000000}");
    world_complete(w, &l, OUTCOME_SUCCEEDED);
    CHECK_TEXT(world_task(w, run, "Zoë ✓ 日本語").task.name, "Zoë ✓ 日本語");
    CHECK_TEXT(world_look(w, run).run.workflow, "'; DROP TABLE run; --");
    world_healthy(w);
}

/* A-119: the order of events is that of their numbers, also where the clock stands still. This is
 * also the whole story of a small run. */
static void events_tell_the_story(void **state)
{
    static const char *const story[] = {
        "run_RUNNING",    "a task_READY",     "worker_READY",  "a task_RUNNING", "a task_DELAYED",
        "a task_READY",   "a task_RUNNING",   "a task_FAILED", "c task_READY",   "b task_SKIPPED",
        "run_CANCELLING", "c task_CANCELLED", "run_CANCELLED", "a task_BLOCKED", "b task_BLOCKED",
        "c task_BLOCKED", "run_RUNNING",      "a task_READY",
    };
    struct world *w = world(state);
    struct run_retry_reply retry;
    struct event_rows events;
    struct run_row row;
    int64_t run, newest;
    const char *told = "", *expected = "";

    w->now = 1900000000 * CLOCK_S;
    run = world_start(w, "weft: 1\ntasks:\n"
                         "  a: {run: [x], retry: {max_attempts: 2, backoff: {base: 1s}}}\n"
                         "  b: {run: [x], needs: [a]}\n"
                         "  c: {run: [x], needs: [{all_done: [a]}]}\n");
    world_join(w, 1);
    next(w, run, OUTCOME_FAILED);
    w->now += CLOCK_S;
    world_reap(w);
    next(w, run, OUTCOME_FAILED);
    DO(w, run_cancel(&w->tx, &run, &row));
    DO(w, run_retry(&w->tx, &run, &retry));
    DO(w, event_list(&w->tx, &(struct event_list){.max = 1000}, &events));
    for (size_t i = 0; i < events.n; i++) {
        const struct event *e = &events.list[i];

        assert_true(i == 0 || e->seq > e[-1].seq);
        told = str_printf(&w->arena, "%s" STR_FMT "%s" STR_FMT "\n", told, STR_ARG(e->name),
                          e->name.n ? " " : "", STR_ARG(e->kind))
                   .p;
    }
    for (size_t i = 0; i < ROWS_N(story); i++)
        expected = str_printf(&w->arena, "%s%s\n", expected, story[i]).p;
    assert_string_equal(told, expected);
    DO(w, event_newest(&w->tx, &run, &newest));
    assert_int_equal(newest, events.list[events.n - 1].seq);
    DO(w,
       event_list(&w->tx, &(struct event_list){.run = run, .after = events.list[3].seq, .max = 2},
                  &events));
    assert_int_equal(events.n, 2);
    CHECK_TEXT(events.list[0].kind, "task_DELAYED");
    REFUSED(w, event_list(&w->tx, &(struct event_list){.max = 0}, &events), CODE_INVALID);
}

/* Pages of a run's tasks and of runs. */
static void lists_come_in_pages(void **state)
{
    struct world *w = world(state);
    int64_t runs[3];
    struct run_rows list;
    struct run_row newest;
    struct run_view v;

    for (size_t i = 0; i < 3; i++)
        runs[i] =
            world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n  c: {run: [x]}\n");
    DO(w, run_get(&w->tx, &(struct run_get){.id = runs[0], .tasks = true, .max = 2}, &v));
    assert_int_equal(v.tasks_n, 2);
    DO(w, run_get(&w->tx, &(struct run_get){.id = runs[0], .tasks = true, .after = v.tasks[1].id},
                  &v));
    assert_int_equal(v.tasks_n, 1);
    CHECK_TEXT(v.tasks[0].name, "c");
    DO(w, run_list(&w->tx, &(struct run_list){.max = 2}, &list));
    assert_int_equal(list.n, 2);
    assert_int_equal(list.list[0].id, runs[2]);
    assert_int_equal(list.list[0].counts[TASK_READY], 3);
    DO(w, run_list(&w->tx, &(struct run_list){.before = runs[1], .max = 2}, &list));
    assert_int_equal(list.n, 1);
    DO(w, run_list(&w->tx, &(struct run_list){.state = STR("FAILED"), .max = 2}, &list));
    assert_int_equal(list.n, 0);
    REFUSED(w, run_list(&w->tx, &(struct run_list){.state = STR("broken"), .max = 2}, &list),
            CODE_INVALID);
    REFUSED(w, run_list(&w->tx, &(struct run_list){.max = 0}, &list), CODE_INVALID);
    DO(w, run_newest_open(&w->tx, NULL, &newest));
    assert_int_equal(newest.id, runs[2]);
    REFUSED(w, run_get(&w->tx, &(struct run_get){.id = 999}, &v), CODE_RUN_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(diamond),
        ENGINE_TESTS(chain),
        ENGINE_TESTS(fan_out_and_in),
        ENGINE_TESTS(trigger_rules),
        ENGINE_TESTS(a_batch_of_ends_is_judged_once),
        ENGINE_TESTS(skips_propagate),
        ENGINE_TESTS(failure_skips_and_a_retry_goes_on),
        ENGINE_TESTS(requeue_of_one_task),
        ENGINE_TESTS(requeue_of_a_skipped_task),
        ENGINE_TESTS(successes_are_kept),
        ENGINE_TESTS(cancel_stops_held_and_idle),
        ENGINE_TESTS(cancelled_tasks_are_not_tried_again),
        ENGINE_TESTS(a_cancelled_task_cancels_its_run),
        ENGINE_TESTS(max_parallel_is_kept),
        ENGINE_TESTS(crashes_are_counted),
        ENGINE_TESTS(workflows_persist),
        ENGINE_TESTS(a_live_run_keeps_its_version),
        ENGINE_TESTS(hostile_names_stay_data),
        ENGINE_TESTS(events_tell_the_story),
        ENGINE_TESTS(lists_come_in_pages),
    };

    return ENGINE_MAIN(tests);
}
