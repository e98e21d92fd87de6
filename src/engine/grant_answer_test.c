/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of leases that were granted. */
#include "base/test.h"
#include "engine/grant_testing.h"
#include "engine/lease.h"
#include "engine/plan.h"

/* D-47: back it goes, to another runner; nothing of it counts. */
static void a_refusal_goes_to_another(void **state)
{
    struct world *w = world(state);
    struct grant_lease first, second;
    struct task_details d;
    int64_t run, a, b;

    w->now = T;
    a = RUNNER(w, "a");
    b = RUNNER(w, "b");
    PLAN(w, .n = 1);
    assert_int_equal(grants_one(w).worker, a);
    PLAN(w, .n = 2);
    assert_int_equal(ROUND(w).n, 2); /* b, a: `b` is less loaded, and gave it back */
    run = PLAN(w, .n = 1);
    first = grants_one(w);
    assert_int_equal(first.worker, b);
    assert_int_equal(grants_refuse(w, first.lease), CODE_OK);
    assert_int_equal(grants_refuse(w, first.lease), CODE_LEASE_LOST);
    assert_int_equal(grants_busy(w, a), 2);
    assert_int_equal(grants_busy(w, b), 1);
    second = grants_one(w);
    assert_int_equal(second.worker, a);
    d = world_task(w, run, "s1");
    assert_int_equal(d.task.state, TASK_RUNNING);
    assert_int_equal(d.task.attempts_n, 2);
    assert_int_equal(d.task.attempts[0].outcome, OUTCOME_REJECTED);
    CHECK_TEXT(d.task.attempts[0].reason, "runner_refused");
    CHECK_TEXT(d.task.attempts[0].message, "no room");
    assert_int_equal(d.task.attempts[1].worker, a);
    world_healthy(w);
}

static void beat(struct world *w, int64_t incarnation)
{
    struct worker_beat_reply reply;

    DO(w, worker_beat(&w->tx, &incarnation, &reply));
}

/* When all have refused it waits, longer each time, and no budget is used. */
static void when_all_refuse_it_waits(void **state)
{
    static const int64_t waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct world *w = world(state);
    int64_t run, ids[2];

    w->now = T;
    ids[0] = RUNNER(w, "a");
    ids[1] = RUNNER(w, "b");
    run = PLAN(w, .n = 1);
    for (size_t i = 0; i < ROWS_N(waits_s); i++) {
        struct task_details d;

        for (int j = 0; j < 2; j++) {
            struct grant_lease l = grants_one(w);

            assert_int_equal(l.worker, ids[j]);
            assert_int_equal(grants_refuse(w, l.lease), CODE_OK);
        }
        d = world_task(w, run, "s1");
        assert_int_equal(d.task.state, TASK_DELAYED);
        CHECK_TEXT(d.task.reason, "waiting_after_refusals");
        assert_int_equal(d.task.due_at - w->now, waits_s[i] * S);
        assert_int_equal(ROUND(w).n, 0);
        w->now = d.task.due_at;
        beat(w, ids[0]);
        beat(w, ids[1]);
        assert_int_equal(world_reap(w).promoted, 1);
    }
    assert_int_equal(grants_complete(w, grants_one(w).lease, OUTCOME_SUCCEEDED), CODE_OK);
    world_healthy(w);
}

/* Who takes it ends the row of refusals. */
static void refusals_are_counted_in_a_row(void **state)
{
    struct world *w = world(state);
    struct retry_policy retry = retry_asked();
    int64_t run;

    w->now = T;
    retry.max_attempts = 9;
    RUNNER(w, "a");
    run = PLAN(w, .n = 1, .retry = &retry);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(grants_refuse(w, grants_one(w).lease), CODE_OK);
        assert_int_equal(world_task(w, run, "s1").task.due_at - w->now, S);
        w->now += S;
        world_reap(w);
        assert_int_equal(grants_complete(w, grants_one(w).lease, OUTCOME_LOST), CODE_OK);
    }
}

/* An async one is LEASED until its runner accepts; then its heartbeat keeps it. */
static void an_async_stage_is_accepted(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    int64_t run;

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    run = PLAN(w, .n = 1, .demand = ASYNC, .timeout_us = 90 * S);
    l = grants_one(w);
    assert_true(l.mode == PLACEMENT_ASYNC && l.attempt == 1 && l.accept_by == T + 10 * S &&
                l.deadline_at == T + 90 * S);
    assert_string_equal(world_states(w, run), "L");
    w->now += 9 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(grants_accept(w, l.lease), CODE_OK);
    assert_int_equal(grants_accept(w, l.lease), CODE_OK);
    assert_string_equal(world_states(w, run), "r");
    assert_int_equal(grants_last(w, run, "s1").started_at, w->now);
    w->now += 50 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(grants_last(w, run, "s1").number, 1);
    world_healthy(w);
}

/* Nobody accepts: it is as if it was refused, and who accepts later is told. */
static void the_accept_deadline_gives_it_back(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    struct task_attempt t;
    int64_t run, b;

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    b = RUNNER(w, "b", .modes = PLACEMENT_MODES_ALL);
    run = PLAN(w, .n = 1, .demand = ASYNC, .accept_us = 3 * S, .timeout_us = 2 * S);
    l = grants_one(w);
    assert_int_equal(l.accept_by, T + 2 * S); /* no later than its end */
    w->now = l.accept_by;
    assert_int_equal(world_reap(w).expired, 1);
    t = grants_last(w, run, "s1");
    assert_int_equal(t.outcome, OUTCOME_REJECTED);
    CHECK_TEXT(t.reason, "not_accepted_in_time");
    assert_string_equal(world_states(w, run), "R");
    assert_int_equal(grants_accept(w, l.lease), CODE_LEASE_LOST);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(grants_one(w).worker, b);
    world_healthy(w);
}

/* A runner may be done before the news that it took the stage is written. */
static void it_may_end_before_it_is_accepted(void **state)
{
    static const struct {
        enum outcome outcome;
        const char *states;
        int64_t number;
    } rows[] = {
        {OUTCOME_SUCCEEDED, "S", 1},
        {OUTCOME_FAILED,    "F", 1},
        {OUTCOME_LOST,      "R", 1}, /* the call broke: it may have been begun */
        {OUTCOME_REJECTED,  "R", 0},
        {OUTCOME_CANCELLED, "R", 0}, /* at the accept deadline it is told to stop */
    };
    struct world *w = world(state);

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t run = PLAN(w, .n = 1, .demand = ASYNC, .priority = (int64_t)i);
        struct grant_leases l = ROUND(w);
        struct lease_ref lease = {0};

        for (size_t j = 0; j < l.n; j++)
            if (l.list[j].run == run)
                lease = l.list[j].lease;
        assert_int_equal(grants_complete(w, lease, rows[i].outcome), CODE_OK);
        assert_string_equal(world_states(w, run), rows[i].states);
        assert_int_equal(grants_last(w, run, "s1").number, rows[i].number);
        assert_int_equal(grants_accept(w, lease), CODE_LEASE_LOST);
    }
    world_healthy(w);
}

/* Who adds stages does not wait for that news either. */
static void it_may_write_before_it_is_accepted(void **state)
{
    const struct plan_stage child = {.name = STR("child"), .type = STR("build")};
    struct world *w = world(state);
    struct plan_write req = {.stages = &child, .stages_n = 1};
    struct plan_written written;
    struct task_codes codes;
    struct grant_lease l;

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    req.run = PLAN(w, .n = 1, .demand = ASYNC, .progress_us = 20 * S);
    l = grants_one(w);
    req.writer = l.lease;
    DO(w, plan_write(&w->tx, &req, &written));
    assert_int_equal(world_task(w, req.run, "s1").task.state, TASK_RUNNING);
    assert_int_equal(world_task(w, req.run, "s1").task.attempts[0].number, 1);
    DO(w, grant_accept(&w->tx, &(struct grant_refs){&l.lease, 1}, &codes));
    assert_int_equal(codes.list[0], CODE_OK);
    world_healthy(w);
    w->now += 15 * S; /* past the accept deadline, and not past what was promised */
    assert_int_equal(world_reap(w).expired, 0);
    w->now += 26 * S;
    assert_int_equal(world_reap(w).expired, 1);
    world_healthy(w);
}

/* A sync call is kept by the server that makes it, and lost with it. */
static void a_sync_call_is_lost_with_its_server(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    struct task_attempt t;
    int64_t run;

    w->now = T;
    RUNNER(w, "a");
    run = PLAN(w, .n = 1);
    l = grants_one(w);
    w->now += 29 * S;
    assert_int_equal(grants_keep(w, l.lease).code, CODE_OK);
    w->now += 29 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(grants_keep(w, l.lease).code, CODE_OK);
    w->now += 30 * S;
    assert_int_equal(world_reap(w).expired, 1);
    t = grants_last(w, run, "s1");
    assert_true(t.outcome == OUTCOME_LOST && t.number == 1);
    CHECK_TEXT(t.reason, "worker_lost");
    assert_string_equal(world_states(w, run), "R");
    assert_int_equal(grants_keep(w, l.lease).code, CODE_LEASE_LOST);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(grants_keep(w, (struct lease_ref){12345, 1}).code, CODE_LEASE_LOST);
    world_healthy(w);
}

/* D-25: its end frees the slot, and what comes later is refused. */
static void past_its_deadline_it_timed_out(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    int64_t run, a;

    w->now = T;
    a = RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    run = PLAN(w, .n = 1, .demand = ASYNC, .timeout_us = 20 * S);
    l = grants_one(w);
    assert_int_equal(grants_accept(w, l.lease), CODE_OK);
    w->now = l.deadline_at;
    assert_int_equal(world_reap(w).timed_out, 1);
    assert_int_equal(grants_last(w, run, "s1").outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(grants_busy(w, a), 0);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    world_healthy(w);
}

/* Runners say `cancelled` of whatever they were told to stop, also where it was nobody's wish that
 * the stage should end. */
static void what_nobody_cancelled_is_tried_again(void **state)
{
    static const struct {
        const char *name;
        int64_t after;
        enum outcome outcome;
        const char *reason, *states;
    } rows[] = {
        {"its call broke",        1 * S,  OUTCOME_LOST,      "worker_lost", "R"},
        {"its deadline has come", 20 * S, OUTCOME_TIMED_OUT, "timed_out",   "F"},
    };
    struct world *w = world(state);

    w->now = T;
    RUNNER(w, "a");
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        int64_t run = PLAN(w, .n = 1, .timeout_us = 20 * S);
        struct grant_lease l = grants_one(w);
        struct task_attempt t;
        struct run_row row;

        w->now += rows[i].after;
        assert_int_equal(grants_complete(w, l.lease, OUTCOME_CANCELLED), CODE_OK);
        assert_int_equal(grants_complete(w, l.lease, OUTCOME_CANCELLED), CODE_OK);
        t = grants_last(w, run, "s1");
        CHECK_ROW(rows[i].name, t.number == 1 && t.outcome == rows[i].outcome);
        CHECK_TEXT(t.reason, rows[i].reason);
        assert_string_equal(world_states(w, run), rows[i].states);
        DO(w, run_cancel(&w->tx, &run, &row));
    }
    world_healthy(w);
}

static struct lease_renewed progress(struct world *w, struct lease_ref l)
{
    const struct lease_progress p = {.lease = l, .percent = 50};
    struct lease_renewals reply;

    DO(w, lease_renew(&w->tx, &(struct lease_renew){.list = &p, .n = 1}, &reply));
    return reply.list[0];
}

/* D-42: where progress was promised, silence ends the attempt; where it was not, it does not. */
static void progress_that_was_promised(void **state)
{
    struct world *w = world(state);
    struct grant_leases l;
    struct task_attempt t;
    int64_t quiet, told;

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC);
    quiet = PLAN(w, .n = 1, .demand = ASYNC);
    told = PLAN(w, .n = 1, .demand = ASYNC, .progress_us = 2 * S);
    l = ROUND(w);
    assert_true(l.n == 2 && l.list[1].progress_us == 2 * S);
    /* Until it is accepted, that is what its lease waits for. */
    w->now += S;
    assert_int_equal(progress(w, l.list[1].lease).expires_at, T + 10 * S);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(grants_accept(w, l.list[i].lease), CODE_OK);
    for (int i = 0; i < 3; i++) {
        w->now += 3 * S;
        assert_int_equal(world_reap(w).expired, 0);
        assert_int_equal(progress(w, l.list[1].lease).expires_at, w->now + 4 * S);
    }
    w->now += 4 * S;
    assert_int_equal(world_reap(w).expired, 1);
    t = grants_last(w, told, "s1");
    assert_true(t.outcome == OUTCOME_LOST && t.number == 1);
    CHECK_TEXT(t.reason, "no_progress");
    assert_string_equal(world_states(w, quiet), "r");
    assert_int_equal(progress(w, l.list[1].lease).code, CODE_LEASE_LOST);
    world_healthy(w);
}

/* Who is to be cancelled is known to all servers, and told to the one that keeps the call. */
static void a_cancelled_run_names_its_leases(void **state)
{
    struct world *w = world(state);
    struct grant_cancels c;
    struct grant_leases l;
    struct run_row row;
    int64_t run, none = 0, a;

    w->now = T;
    a = RUNNER(w, "a", .slots = 2);
    run = PLAN(w, .n = 3);
    l = ROUND(w);
    assert_int_equal(l.n, 2);
    DO(w, grant_cancels(&w->tx, &none, &c));
    assert_int_equal(c.n, 0);
    assert_false(grants_keep(w, l.list[0].lease).stop);
    DO(w, run_cancel(&w->tx, &run, &row));
    DO(w, grant_cancels(&w->tx, &none, &c));
    assert_int_equal(c.n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(c.list[i].lease.token == l.list[i].lease.token && c.list[i].worker == a &&
                    c.list[i].run == run);
    CHECK_TEXT(c.list[0].runner, "a");
    CHECK_TEXT(c.list[0].address, "a:1");
    DO(w, grant_cancels(&w->tx, &l.list[0].lease.token, &c));
    assert_int_equal(c.n, 1);
    assert_true(grants_keep(w, l.list[0].lease).stop);
    assert_int_equal(grants_complete(w, l.list[0].lease, OUTCOME_CANCELLED), CODE_OK);
    /* What is refused after the cancel is over. */
    assert_int_equal(grants_refuse(w, l.list[1].lease), CODE_OK);
    assert_string_equal(world_states(w, run), "CCC");
    DO(w, grant_cancels(&w->tx, &none, &c));
    assert_int_equal(c.n, 0);
    world_healthy(w);
}

/* A runner that is started again keeps what it names; the rest is lost, and given out again. */
static void a_reborn_runner_keeps_what_it_names(void **state)
{
    struct world *w = world(state);
    struct grant_leases l;
    struct worker_joined j;
    struct worker_join join = {
        .worker = {.name = STR("a"),
                   .type = STR("build"),
                   .address = STR("a:1"),
                   .modes = PLACEMENT_SYNC,
                   .slots = 10,
                   .ttl_us = 100 * S},
        .leases_n = 1
    };
    int64_t run;

    w->now = T;
    RUNNER(w, "a");
    run = PLAN(w, .n = 2);
    l = ROUND(w);
    join.leases = &l.list[0].lease;
    DO(w, worker_join(&w->tx, &join, &j));
    assert_true(j.reregistered && j.kept_n == 1 && j.lost_n == 0);
    assert_string_equal(world_states(w, run), "rR");
    assert_int_equal(grants_keep(w, l.list[0].lease).code, CODE_OK);
    assert_int_equal(grants_one(w).worker, j.worker.worker.incarnation);
    assert_int_equal(grants_complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
    world_healthy(w);
}

/* The doctor finds a lease that nobody would ever take back. */
static void a_lease_without_an_end_is_found(void **state)
{
    struct world *w = world(state);
    struct doctor_report report;
    int64_t found = 0;

    w->now = T;
    RUNNER(w, "a", .modes = PLACEMENT_MODES_ALL);
    PLAN(w, .n = 1);
    PLAN(w, .n = 2, .demand = ASYNC);
    assert_int_equal(grants_accept(w, ROUND(w).list[0].lease), CODE_OK);
    world_healthy(w);
    store_testing_sql(w->place, "UPDATE task SET expires_at = 0");
    DO(w, doctor_check(&w->tx, NULL, &report));
    for (size_t i = 0; i < report.n; i++)
        if (str_eq(report.checks[i].id, STR("push_lease")))
            found = report.checks[i].found;
    assert_int_equal(found, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_AND_POSTGRES(a_refusal_goes_to_another),
        FILE_AND_POSTGRES(when_all_refuse_it_waits),
        FILE_AND_POSTGRES(refusals_are_counted_in_a_row),
        FILE_AND_POSTGRES(an_async_stage_is_accepted),
        FILE_AND_POSTGRES(the_accept_deadline_gives_it_back),
        FILE_AND_POSTGRES(it_may_end_before_it_is_accepted),
        FILE_AND_POSTGRES(it_may_write_before_it_is_accepted),
        FILE_AND_POSTGRES(a_sync_call_is_lost_with_its_server),
        FILE_AND_POSTGRES(past_its_deadline_it_timed_out),
        FILE_AND_POSTGRES(what_nobody_cancelled_is_tried_again),
        FILE_AND_POSTGRES(progress_that_was_promised),
        FILE_AND_POSTGRES(a_cancelled_run_names_its_leases),
        FILE_AND_POSTGRES(a_reborn_runner_keeps_what_it_names),
        FILE_AND_POSTGRES(a_lease_without_an_end_is_found),
    };

    return ENGINE_MAIN(tests);
}
