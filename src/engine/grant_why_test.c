/* SPDX-License-Identifier: Apache-2.0 */
/* Why a stage went where it went: the traces of granting. */
#include "base/test.h"
#include "engine/grant_testing.h"

/* Each decision is kept with the verdict on all others, and how it was answered. */
static void decisions_leave_a_trace(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    struct grant_why y;
    int64_t run, task;

    w->now = T;
    RUNNER(w, "a", .slots = 1);
    RUNNER(w, "b", .slots = 3);
    RUNNER(w, "c", .modes = PLACEMENT_ASYNC);
    PLAN(w, .n = 2);
    assert_int_equal(ROUND(w).n, 2);
    run = PLAN(w, .n = 1);
    l = grants_one(w);
    task = l.lease.task;
    assert_int_equal(grants_refuse(w, l.lease), CODE_OK);
    y = grants_why(w, task);
    assert_int_equal(y.traces_n, 1);
    assert_true(y.traces[0].token == l.lease.token && y.traces[0].at == T && y.traces[0].ended);
    CHECK_TEXT(y.traces[0].runner, "b");
    CHECK_TEXT(y.traces[0].message, "no room");
    assert_int_equal(y.traces[0].outcome, OUTCOME_REJECTED);
    assert_int_equal(y.traces[0].n, 3);
    assert_true(y.traces[0].list[0].verdict == PLACEMENT_CHOSEN && y.traces[0].list[0].load == 1 &&
                y.traces[0].list[0].slots == 3);
    CHECK_TEXT(y.traces[0].list[1].runner, "a");
    assert_int_equal(y.traces[0].list[1].verdict, PLACEMENT_FULL);
    assert_int_equal(y.traces[0].list[2].verdict, PLACEMENT_MODE_UNSUPPORTED);
    assert_int_equal(y.now_n, 3);
    assert_true(y.now[1].verdict == PLACEMENT_CHOSEN || world_task(w, run, "s1").task.due_at > T);
    REFUSED(w, grant_why(&w->tx, &(struct grant_which){.task = run}, &y), CODE_TASK_NOT_FOUND);
}

/* With many candidates the trace names some and counts the others. */
static void a_trace_has_a_bound(void **state)
{
    struct world *w = world(state);
    struct grant_why y;
    int64_t n = 0;

    w->now = T;
    for (int i = 0; i < 50; i++)
        RUNNER(w, str_printf(&w->arena, "r%d", i).p, .modes = i % 2 ? PLACEMENT_ASYNC : 0);
    PLAN(w, .n = 1);
    y = grants_why(w, grants_one(w).lease.task);
    assert_int_equal(y.traces[0].n, GRANT_CANDIDATES_MAX + 2);
    for (size_t i = 0; i < y.traces[0].n; i++)
        n += y.traces[0].list[i].runner.n ? 1 : y.traces[0].list[i].more;
    assert_int_equal(n, 50);
}

/* However often nobody takes a stage, it keeps its newest traces alone. */
static void old_traces_leave(void **state)
{
    struct world *w = world(state);
    struct worker_beat_reply beat;
    struct lease_ref last = {0};
    struct reaper_reply reaped;
    struct grant_why y;
    int64_t runner;

    w->now = T;
    runner = RUNNER(w, "a", .slots = -1);
    PLAN(w, .n = 2);
    for (unsigned i = 0; i < GRANT_TRACES_MAX + 5; i++) {
        struct grant_leases l = ROUND(w);

        last = l.list[0].lease;
        for (size_t j = 0; j < l.n; j++)
            assert_int_equal(grants_refuse(w, l.list[j].lease), CODE_OK);
        w->now += 60 * S;
        DO(w, worker_beat(&w->tx, &runner, &beat));
        DO(w, reaper_scan(&w->tx, NULL, &reaped));
    }
    y = grants_why(w, last.task);
    assert_int_equal(y.traces_n, GRANT_TRACES_MAX);
    assert_int_equal(y.traces[0].token, last.token);
    assert_int_equal(store_testing_count(w->place, "dispatch"), 2 * GRANT_TRACES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_AND_POSTGRES(decisions_leave_a_trace),
        FILE_AND_POSTGRES(a_trace_has_a_bound),
        FILE_AND_POSTGRES(old_traces_leave),
    };

    return ENGINE_MAIN(tests);
}
