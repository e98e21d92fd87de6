/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "engine/engine_testing.h"
#include "engine/lease.h"
#include "engine/plan.h"

#define S 1000000LL
#define T (1000 * S) /* when the tests begin */

#define BUILD     STR("{\"labels\":{},\"mode\":\"sync\",\"type\":\"build\"}")
#define NO_DEMAND STR("no demand")
#define ASYNC     STR("{\"labels\":{},\"mode\":\"async\",\"type\":\"build\"}")

/* A plan with n READY stages that are alike. */
struct plan {
    struct str demand; /* empty: BUILD */
    size_t n;
    int64_t timeout_us, priority, max_parallel;
    const struct retry_policy *retry;
    int64_t accept_us, progress_us;
};

/* The stage that has such a demand; a text that is none gets into the store by hand, afterwards. */
static struct plan_stage stage_of(struct world *w, const struct plan *p)
{
    struct plan_stage stage = {
        .type = STR("build"),
        .timeout_us = p->timeout_us,
        .priority = p->priority,
        .retry = p->retry,
        .accept_us = p->accept_us,
        .progress_us = p->progress_us,
    };
    struct placement_demand d;
    struct worker_label *labels;

    if (!p->demand.n || !placement_demand_parse(&w->arena, p->demand, &d))
        return stage;
    labels = ARENA_ARRAY(&w->arena, struct worker_label, d.labels.n);
    for (size_t i = 0; i < d.labels.n; i++)
        labels[i] = (struct worker_label){d.labels.list[i].name, d.labels.list[i].value};
    stage.type = d.type;
    stage.async = d.mode == PLACEMENT_ASYNC;
    stage.labels = (struct worker_labels){labels, d.labels.n};
    return stage;
}

static int64_t plan_of(struct world *w, const struct plan *p)
{
    struct plan_stage *stages = ARENA_ARRAY(&w->arena, struct plan_stage, p->n);
    struct plan_write req = {.stages = stages, .stages_n = p->n};
    struct plan_written written;
    struct run_row run;

    for (size_t i = 0; i < p->n; i++) {
        stages[i] = stage_of(w, p);
        stages[i].name = str_printf(&w->arena, "s%zu", i + 1);
        stages[i].args = str_printf(&w->arena, "{\"n\":%zu}", i + 1);
    }
    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    req.run = run.id;
    DO(w, plan_write(&w->tx, &req, &written));
    if (str_eq(p->demand, NO_DEMAND) || p->max_parallel)
        store_testing_sql(w->place,
                          str_printf(&w->arena,
                                     "UPDATE run SET max_parallel = %" PRId64 " WHERE id = %" PRId64
                                     "; UPDATE task SET key = '%s' WHERE run = %" PRId64,
                                     p->max_parallel, run.id, (p->demand.n ? p->demand : BUILD).p,
                                     run.id)
                              .p);
    return run.id;
}
#define PLAN(w, ...) plan_of((w), &(const struct plan){__VA_ARGS__})

struct runner {
    const char *name, *type; /* NULL: build */
    unsigned modes;          /* 0: sync */
    int64_t slots;           /* 0: 10; -1: no limit */
    struct worker_labels labels;
};

static int64_t runner_of(struct world *w, const struct runner *r)
{
    struct worker_joined j;
    const struct worker_join join = {
        .worker = {.name = str_of(r->name),
                   .type = str_of(r->type ? r->type : "build"),
                   .address = str_printf(&w->arena, "%s:1", r->name),
                   .modes = r->modes ? r->modes : PLACEMENT_SYNC,
                   .slots = r->slots < 0    ? 0
                            : r->slots == 0 ? 10
                                            : r->slots,
                   .ttl_us = 100 * S,
                   .labels = r->labels}
    };

    DO(w, worker_join(&w->tx, &join, &j));
    return j.worker.worker.incarnation;
}
#define RUNNER(w, id, ...) runner_of((w), &(const struct runner){.name = (id), ##__VA_ARGS__})

static struct grant_leases round_of(struct world *w, const struct grant_round *req)
{
    struct grant_leases reply;

    DO(w, grant_round(&w->tx, req, &reply));
    return reply;
}
#define ROUND(w) round_of((w), &(const struct grant_round){.max = GRANT_MAX})

static struct grant_lease one(struct world *w)
{
    struct grant_leases l = ROUND(w);

    assert_int_equal(l.n, 1);
    return l.list[0];
}

static enum code complete(struct world *w, struct lease_ref l, enum outcome o)
{
    const struct task_result result = {.lease = l,
                                       .outcome = o,
                                       .reason = o == OUTCOME_SUCCEEDED ? TASK_REASON_NONE
                                                                        : TASK_REASON_WORKER_ERROR,
                                       .exit_code = -1};
    struct task_codes codes;

    DO(w, task_complete(&w->tx, &(struct task_complete){&result, 1}, &codes));
    return codes.list[0];
}

static enum code accept(struct world *w, struct lease_ref l)
{
    struct task_codes codes;

    DO(w, grant_accept(&w->tx, &(struct grant_refs){&l, 1}, &codes));
    return codes.list[0];
}

static enum code refuse(struct world *w, struct lease_ref l)
{
    const struct grant_refusal refusal = {l, TASK_REASON_REFUSED, STR("no room")};
    struct task_codes codes;

    DO(w, grant_refuse(&w->tx, &(struct grant_refuse){&refusal, 1}, &codes));
    return codes.list[0];
}

static struct grant_kept keep(struct world *w, struct lease_ref l)
{
    struct grant_keeps keeps;

    DO(w, grant_keep(&w->tx, &(struct grant_refs){&l, 1}, &keeps));
    return keeps.list[0];
}

static struct grant_why why(struct world *w, int64_t task)
{
    struct grant_why reply;

    DO(w, grant_why(&w->tx, &(struct grant_which){.task = task}, &reply));
    return reply;
}

static int64_t busy(struct world *w, int64_t incarnation)
{
    struct worker_view v;

    DO(w, worker_get(&w->tx, &incarnation, &v));
    return v.worker.busy;
}

static struct task_attempt last_attempt(struct world *w, int64_t run, const char *name)
{
    struct task_details d = world_task(w, run, name);

    assert_true(d.task.attempts_n > 0);
    return d.task.attempts[d.task.attempts_n - 1];
}

/* D-14, D-57: it goes to the runner that is there, with all that a call needs. */
static void a_ready_stage_goes_to_a_runner(void **state)
{
    struct world *w = world(state);
    int64_t run, runner;
    struct grant_lease l;

    w->now = T;
    runner = RUNNER(w, "r1");
    run = PLAN(w, .n = 1, .timeout_us = 60 * S);
    w->now += 2 * S;
    l = one(w);
    assert_true(l.run == run && l.worker == runner && l.attempt == 1 && l.lease.token > 0);
    CHECK_TEXT(l.name, "s1");
    CHECK_TEXT(l.type, "build");
    CHECK_TEXT(l.runner, "r1");
    CHECK_TEXT(l.address, "r1:1");
    CHECK_TEXT(l.args, "{\"n\":1}");
    assert_true(l.mode == PLACEMENT_SYNC && l.accept_by == 0 && l.progress_us == 0);
    assert_true(l.deadline_at == w->now + 60 * S && l.ready_at == T);
    assert_string_equal(world_states(w, run), "r");
    assert_int_equal(busy(w, runner), 1);
    assert_int_equal(ROUND(w).n, 0);
    world_healthy(w);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(busy(w, runner), 0);
    assert_string_equal(world_states(w, run), "S");
    world_healthy(w);
}

/* D-15: the one with the fewest leases, whatever its slots. */
static void the_least_loaded_is_chosen(void **state)
{
    struct world *w = world(state);
    int64_t few, many;
    struct grant_leases l;

    w->now = T;
    few = RUNNER(w, "few", .slots = 2);
    many = RUNNER(w, "many", .slots = 10);
    PLAN(w, .n = 6);
    l = ROUND(w);
    assert_int_equal(l.n, 6);
    assert_int_equal(busy(w, few), 2);
    assert_int_equal(busy(w, many), 4);
    for (size_t i = 0; i < l.n; i++)
        if (l.list[i].worker == many)
            assert_int_equal(complete(w, l.list[i].lease, OUTCOME_SUCCEEDED), CODE_OK);
    PLAN(w, .n = 1);
    assert_int_equal(one(w).worker, many);
    world_healthy(w);
}

/* Those that are equal take turns, also when each round has one stage. */
static void equals_take_turns(void **state)
{
    struct world *w = world(state);
    int64_t ids[3];

    w->now = T;
    for (int i = 0; i < 3; i++)
        ids[i] = RUNNER(w, i == 0 ? "a" : i == 1 ? "b" : "c");
    for (int i = 0; i < 6; i++) {
        struct grant_lease l;

        PLAN(w, .n = 1);
        l = one(w);
        assert_int_equal(l.worker, ids[i % 3]);
        assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
    }
}

/* D-16, D-17: nobody is there, and then somebody is. */
static void it_waits_for_a_runner(void **state)
{
    struct world *w = world(state);
    struct grant_leases l;
    int64_t run, task;

    w->now = T;
    RUNNER(w, "other", .type = "test");
    run = PLAN(w, .n = 1);
    l = ROUND(w);
    assert_true(l.n == 0 && !l.more && l.next_at == 0 && l.after.n == 0);
    assert_string_equal(world_states(w, run), "R");
    task = world_task(w, run, "s1").task.id;
    CHECK_TEXT(why(w, task).sentence, "no runner of type \"build\" is registered");
    RUNNER(w, "r1");
    assert_int_equal(one(w).lease.task, task);
    world_healthy(w);
}

/* D-13, D-18, D-11: a stage goes only where its type, mode and labels are, and one that nobody can
 * take stands in nobody's way. */
static void what_is_demanded_is_there(void **state)
{
    static const struct worker_label arm[] = {
        {{"arch", 4}, {"arm", 3}  },
        {{"os", 2},   {"linux", 5}}
    };
    static const char *const demands[] = {
        "{\"labels\":{},\"mode\":\"async\",\"type\":\"build\"}",
        "{\"labels\":{\"arch\":\"x86\"},\"mode\":\"sync\",\"type\":\"build\"}",
        "{\"labels\":{},\"mode\":\"sync\",\"type\":\"deploy\"}",
        "no demand",
        "{\"labels\":{\"arch\":\"arm\"},\"mode\":\"sync\",\"type\":\"build\"}",
    };
    struct world *w = world(state);
    int64_t runs[5], runner;
    struct grant_lease l;

    w->now = T;
    runner = RUNNER(w, "r1", .labels = {arm, 2});
    for (int i = 0; i < 5; i++)
        runs[i] = PLAN(w, .n = 20, .demand = str_of(demands[i]));
    l = ROUND(w).list[0];
    assert_true(l.run == runs[4] && l.worker == runner);
    assert_int_equal(busy(w, runner), 10);
    for (int i = 0; i < 4; i++)
        assert_string_equal(world_states(w, runs[i]), "RRRRRRRRRRRRRRRRRRRR");
    assert_int_equal(why(w, world_task(w, runs[0], "s1").task.id).now[0].verdict,
                     PLACEMENT_MODE_UNSUPPORTED);
    assert_int_equal(why(w, world_task(w, runs[1], "s1").task.id).now[0].verdict,
                     PLACEMENT_LABEL_MISSING);
    world_healthy(w);
}

/* D-19: never more than its slots; the next goes when one is free. */
static void slots_are_never_exceeded(void **state)
{
    struct world *w = world(state);
    struct grant_leases l, next;
    int64_t runner, run;

    w->now = T;
    runner = RUNNER(w, "r1", .slots = 2);
    run = PLAN(w, .n = 4);
    l = ROUND(w);
    assert_true(l.n == 2 && !l.more);
    assert_int_equal(ROUND(w).n, 0);
    CHECK_TEXT(why(w, world_task(w, run, "s3").task.id).sentence,
               "none of the 1 runners of type \"build\" can take it: 1 have all of their slots "
               "taken");
    assert_int_equal(complete(w, l.list[0].lease, OUTCOME_FAILED), CODE_OK);
    next = ROUND(w);
    assert_true(next.n == 1 && next.list[0].lease.task != l.list[1].lease.task);
    assert_int_equal(busy(w, runner), 2);
    RUNNER(w, "r2", .slots = -1);
    assert_int_equal(ROUND(w).n, 1);
    world_healthy(w);
}

/* One that is late, draining or left alone gets nothing. */
static void who_is_not_well_gets_nothing(void **state)
{
    struct world *w = world(state);
    struct grant_round req = {.max = GRANT_MAX, .excluded_n = 1};
    struct worker_row row;
    struct grant_why y;
    int64_t ids[3], task;

    w->now = T;
    ids[0] = RUNNER(w, "draining");
    ids[1] = RUNNER(w, "late");
    DO(w, worker_drain(&w->tx, &ids[0], &row));
    w->now += 50 * S;
    DO(w, worker_quiet(&w->tx, &ids[1], &row));
    ids[2] = RUNNER(w, "broken");
    task = world_task(w, PLAN(w, .n = 1), "s1").task.id;
    req.excluded = &ids[2];
    assert_int_equal(round_of(w, &req).n, 0);
    DO(w, grant_why(&w->tx, &(struct grant_which){task, &ids[2], 1}, &y));
    assert_int_equal(y.now_n, 3);
    assert_true(y.now[0].verdict == PLACEMENT_DRAINING && y.now[1].verdict == PLACEMENT_SUSPECT &&
                y.now[2].verdict == PLACEMENT_BREAKER_OPEN);
    assert_int_equal(one(w).worker, ids[2]);
}

/* D-09: before anybody has noticed that it is gone. */
static void who_is_past_its_ttl_gets_nothing(void **state)
{
    struct world *w = world(state);

    w->now = T;
    RUNNER(w, "r1");
    PLAN(w, .n = 1);
    w->now += 100 * S;
    assert_int_equal(ROUND(w).n, 0);
}

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
    assert_int_equal(one(w).worker, a);
    PLAN(w, .n = 2);
    assert_int_equal(ROUND(w).n, 2); /* b, a: `b` is less loaded, and gave it back */
    run = PLAN(w, .n = 1);
    first = one(w);
    assert_int_equal(first.worker, b);
    assert_int_equal(refuse(w, first.lease), CODE_OK);
    assert_int_equal(refuse(w, first.lease), CODE_LEASE_LOST);
    assert_int_equal(busy(w, a), 2);
    assert_int_equal(busy(w, b), 1);
    second = one(w);
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
            struct grant_lease l = one(w);

            assert_int_equal(l.worker, ids[j]);
            assert_int_equal(refuse(w, l.lease), CODE_OK);
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
    assert_int_equal(complete(w, one(w).lease, OUTCOME_SUCCEEDED), CODE_OK);
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
        assert_int_equal(refuse(w, one(w).lease), CODE_OK);
        assert_int_equal(world_task(w, run, "s1").task.due_at - w->now, S);
        w->now += S;
        world_reap(w);
        assert_int_equal(complete(w, one(w).lease, OUTCOME_LOST), CODE_OK);
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
    l = one(w);
    assert_true(l.mode == PLACEMENT_ASYNC && l.attempt == 1 && l.accept_by == T + 10 * S &&
                l.deadline_at == T + 90 * S);
    assert_string_equal(world_states(w, run), "L");
    w->now += 9 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(accept(w, l.lease), CODE_OK);
    assert_int_equal(accept(w, l.lease), CODE_OK);
    assert_string_equal(world_states(w, run), "r");
    assert_int_equal(last_attempt(w, run, "s1").started_at, w->now);
    w->now += 50 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(last_attempt(w, run, "s1").number, 1);
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
    l = one(w);
    assert_int_equal(l.accept_by, T + 2 * S); /* no later than its end */
    w->now = l.accept_by;
    assert_int_equal(world_reap(w).expired, 1);
    t = last_attempt(w, run, "s1");
    assert_int_equal(t.outcome, OUTCOME_REJECTED);
    CHECK_TEXT(t.reason, "not_accepted_in_time");
    assert_string_equal(world_states(w, run), "R");
    assert_int_equal(accept(w, l.lease), CODE_LEASE_LOST);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(one(w).worker, b);
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
        assert_int_equal(complete(w, lease, rows[i].outcome), CODE_OK);
        assert_string_equal(world_states(w, run), rows[i].states);
        assert_int_equal(last_attempt(w, run, "s1").number, rows[i].number);
        assert_int_equal(accept(w, lease), CODE_LEASE_LOST);
    }
    world_healthy(w);
}

/* A sync call is kept by the server that makes it, and lost with it. */
/* Nor does who adds stages wait for that. */
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
    l = one(w);
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

static void a_sync_call_is_lost_with_its_server(void **state)
{
    struct world *w = world(state);
    struct grant_lease l;
    struct task_attempt t;
    int64_t run;

    w->now = T;
    RUNNER(w, "a");
    run = PLAN(w, .n = 1);
    l = one(w);
    w->now += 29 * S;
    assert_int_equal(keep(w, l.lease).code, CODE_OK);
    w->now += 29 * S;
    assert_int_equal(world_reap(w).expired, 0);
    assert_int_equal(keep(w, l.lease).code, CODE_OK);
    w->now += 30 * S;
    assert_int_equal(world_reap(w).expired, 1);
    t = last_attempt(w, run, "s1");
    assert_true(t.outcome == OUTCOME_LOST && t.number == 1);
    CHECK_TEXT(t.reason, "worker_lost");
    assert_string_equal(world_states(w, run), "R");
    assert_int_equal(keep(w, l.lease).code, CODE_LEASE_LOST);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(keep(w, (struct lease_ref){12345, 1}).code, CODE_LEASE_LOST);
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
    l = one(w);
    assert_int_equal(accept(w, l.lease), CODE_OK);
    w->now = l.deadline_at;
    assert_int_equal(world_reap(w).timed_out, 1);
    assert_int_equal(last_attempt(w, run, "s1").outcome, OUTCOME_TIMED_OUT);
    assert_int_equal(busy(w, a), 0);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
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
        struct grant_lease l = one(w);
        struct task_attempt t;
        struct run_row row;

        w->now += rows[i].after;
        assert_int_equal(complete(w, l.lease, OUTCOME_CANCELLED), CODE_OK);
        assert_int_equal(complete(w, l.lease, OUTCOME_CANCELLED), CODE_OK);
        t = last_attempt(w, run, "s1");
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
        assert_int_equal(accept(w, l.list[i].lease), CODE_OK);
    for (int i = 0; i < 3; i++) {
        w->now += 3 * S;
        assert_int_equal(world_reap(w).expired, 0);
        assert_int_equal(progress(w, l.list[1].lease).expires_at, w->now + 4 * S);
    }
    w->now += 4 * S;
    assert_int_equal(world_reap(w).expired, 1);
    t = last_attempt(w, told, "s1");
    assert_true(t.outcome == OUTCOME_LOST && t.number == 1);
    CHECK_TEXT(t.reason, "no_progress");
    assert_string_equal(world_states(w, quiet), "r");
    assert_int_equal(progress(w, l.list[1].lease).code, CODE_LEASE_LOST);
    world_healthy(w);
}

/* Runs take turns, one stage each, from after the one that was served last. */
static void runs_take_turns(void **state)
{
    struct world *w = world(state);
    struct grant_round req = {.max = 4};
    int64_t runs[3], got[3] = {0};

    w->now = T;
    RUNNER(w, "a", .slots = -1);
    runs[0] = PLAN(w, .n = 40);
    runs[1] = PLAN(w, .n = 3);
    runs[2] = PLAN(w, .n = 40);
    for (int i = 0; i < 3; i++) {
        struct grant_leases l = round_of(w, &req);

        assert_true(l.n == 4 && l.more);
        req.turns = l.turns;
        req.after = l.after;
        for (size_t j = 0; j < l.n; j++)
            for (int k = 0; k < 3; k++)
                got[k] += l.list[j].run == runs[k];
    }
    assert_true(got[1] == 3 && got[0] >= 4 && got[2] >= 4 && got[0] + got[2] == 9);
    world_healthy(w);
}

/* With one slot, a large run keeps no small one waiting. */
static void one_slot_goes_round(void **state)
{
    struct world *w = world(state);
    struct grant_round req = {.max = GRANT_MAX};
    int64_t runs[3];

    w->now = T;
    RUNNER(w, "a", .slots = 1);
    for (int i = 0; i < 3; i++)
        runs[i] = PLAN(w, .n = 2);
    for (int i = 0; i < 6; i++) {
        struct grant_leases l = round_of(w, &req);

        req.turns = l.turns;
        assert_true(l.n == 1 && l.list[0].run == runs[i % 3]);
        assert_int_equal(complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
    }
}

/* A run's own limit, and the order within it. */
static void within_a_run(void **state)
{
    struct world *w = world(state);
    struct grant_leases l;
    int64_t run;

    w->now = T;
    RUNNER(w, "a");
    run = PLAN(w, .n = 5, .max_parallel = 2);
    store_testing_sql(w->place, "UPDATE task SET priority = 9 WHERE name = 's4'");
    l = ROUND(w);
    assert_int_equal(l.n, 2);
    CHECK_TEXT(l.list[0].name, "s4");
    CHECK_TEXT(l.list[1].name, "s1");
    assert_string_equal(world_states(w, run), "rRRrR");
    assert_int_equal(ROUND(w).n, 0);
    assert_int_equal(complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
    CHECK_TEXT(one(w).name, "s2");
    world_healthy(w);
}

/* More demands than a round looks at: the next one goes on, until all were seen. */
static void a_walk_over_many_demands(void **state)
{
    struct world *w = world(state);
    struct grant_round req = {.max = GRANT_MAX};
    int64_t run, last;
    int rounds = 0;
    bool more = true;

    w->now = T;
    RUNNER(w, "a");
    run = PLAN(w, .n = 127);
    for (int i = 0; i < 2; i++)
        PLAN(w, .n = 127);
    store_testing_sql(w->place, "UPDATE task SET key = '{\"labels\":{\"n\":\"' || id || "
                                "'\"},\"mode\":\"sync\",\"type\":\"build\"}'");
    last = PLAN(w, .n = 1); /* its demand is the last: '{' comes after '"' … */
    store_testing_sql(w->place, "UPDATE task SET key = '{\"labels\":{},\"mode\":\"sync\",\"type\":"
                                "\"build\"}' WHERE name = 's127'");
    for (; more; rounds++) {
        struct grant_leases l = round_of(w, &req);

        assert_true(rounds < 5);
        req.after = l.after;
        req.turns = l.turns;
        more = l.more;
    }
    assert_true(rounds > 1);
    assert_int_equal(last_attempt(w, run, "s127").running, true);
    assert_int_equal(last_attempt(w, last, "s1").running, true);
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
    assert_false(keep(w, l.list[0].lease).stop);
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
    assert_true(keep(w, l.list[0].lease).stop);
    assert_int_equal(complete(w, l.list[0].lease, OUTCOME_CANCELLED), CODE_OK);
    /* What is refused after the cancel is over. */
    assert_int_equal(refuse(w, l.list[1].lease), CODE_OK);
    assert_string_equal(world_states(w, run), "CCC");
    DO(w, grant_cancels(&w->tx, &none, &c));
    assert_int_equal(c.n, 0);
    world_healthy(w);
}

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
    l = one(w);
    task = l.lease.task;
    assert_int_equal(refuse(w, l.lease), CODE_OK);
    y = why(w, task);
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
    y = why(w, one(w).lease.task);
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
            assert_int_equal(refuse(w, l.list[j].lease), CODE_OK);
        w->now += 60 * S;
        DO(w, worker_beat(&w->tx, &runner, &beat));
        DO(w, reaper_scan(&w->tx, NULL, &reaped));
    }
    y = why(w, last.task);
    assert_int_equal(y.traces_n, GRANT_TRACES_MAX);
    assert_int_equal(y.traces[0].token, last.token);
    assert_int_equal(store_testing_count(w->place, "dispatch"), 2 * GRANT_TRACES_MAX);
}

/* What is written to a plan is what travels: demand, arguments, promises, and the checks that it is
 * assigned to. */
static void what_was_written_travels(void **state)
{
    static const struct worker_label arm = {
        {"arch", 4},
        {"arm",  3}
    };
    static const struct plan_check checks[] = {
        {.name = {"fast", 4},          .has_kind = true, .kind = {"lint", 4}, .options = {"{\"o\":1}", 7}},
        {.name = {"sure", 4}, .planning = true                },
    };
    static const struct plan_assignment assignments[] = {
        {.check = {"fast", 4}},
        { .check = {"sure", 4},     .planned = true},
    };
    struct plan_stage stage = {
        .name = STR("s"),
        .args = STR("[1]"),
        .type = STR("build"),
        .labels = {&arm, 1},
        .async = true,
        .timeout_us = 60 * S,
        .accept_us = 5 * S,
        .progress_us = 2 * S,
        .has_assignments = true,
        .assignments = assignments,
        .assignments_n = 2,
    };
    struct plan_write req = {.checks = checks, .checks_n = 2, .stages = &stage, .stages_n = 1};
    struct world *w = world(state);
    struct plan_written written;
    struct grant_lease l;
    struct run_row run;

    w->now = T;
    RUNNER(w, "other", .modes = PLACEMENT_ASYNC);
    RUNNER(w, "a", .modes = PLACEMENT_ASYNC, .labels = {&arm, 1});
    DO(w, plan_create(&w->tx, &(struct plan_create){0}, &run));
    req.run = run.id;
    DO(w, plan_write(&w->tx, &req, &written));
    l = one(w);
    CHECK_TEXT(l.runner, "a");
    CHECK_TEXT(l.name, "s");
    CHECK_TEXT(l.args, "[1]");
    assert_true(l.run == run.id && l.mode == PLACEMENT_ASYNC && l.progress_us == 2 * S &&
                l.accept_by == T + 5 * S && l.deadline_at == T + 60 * S);
    assert_int_equal(l.checks_n, 2);
    CHECK_TEXT(l.checks[0].name, "fast");
    CHECK_TEXT(l.checks[0].kind, "lint");
    CHECK_TEXT(l.checks[0].options, "{\"o\":1}");
    CHECK_TEXT(l.checks[0].goal, "FINAL");
    CHECK_TEXT(l.checks[1].name, "sure");
    CHECK_TEXT(l.checks[1].goal, "PLANNED");
    assert_int_equal(accept(w, l.lease), CODE_OK);
    assert_int_equal(complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
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
    assert_int_equal(keep(w, l.list[0].lease).code, CODE_OK);
    assert_int_equal(one(w).worker, j.worker.worker.incarnation);
    assert_int_equal(complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
    world_healthy(w);
}

/* A runner that was silent for its TTL gets nothing, whether the reaper has seen that or not; when
 * it is heard of again, dispatchers are told. */
static void who_is_heard_of_again_gets_stages(void **state)
{
    struct world *w = world(state);
    struct worker_beat_reply beat;
    int64_t runner;

    w->now = T;
    runner = RUNNER(w, "a");
    PLAN(w, .n = 1);
    w->now = T + 100 * S;
    assert_int_equal(ROUND(w).n, 0);
    DO(w, worker_beat(&w->tx, &runner, &beat));
    assert_true(w->tx.pushed);
    assert_int_equal(ROUND(w).n, 1);
    w->now += S;
    DO(w, worker_beat(&w->tx, &runner, &beat));
    assert_false(w->tx.pushed);
}

/* Who renews a lease that has ended holds its task for a moment. A round that comes then waits for
 * that and passes over nothing, since nobody would tell it to look again. */
static void an_old_lease_hides_no_stage(void **state)
{
    struct world *w = world(state);
    const struct grant_round round = {.max = 1};
    struct grant_leases found = {.n = 99};
    struct lease_progress old = {.percent = -1};
    struct lease_renewals renewed;
    int64_t run;

    RUNNER(w, "a");
    run = PLAN(w, .n = 1);
    old.lease = (struct lease_ref){world_task(w, run, "s1").task.id, 1};
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(lease_renew(&w->tx, &(struct lease_renew){.list = &old, .n = 1}, &renewed), 0);
    assert_int_equal(renewed.list[0].code, CODE_LEASE_LOST);
    assert_int_equal(world_meet(w, (world_call *)grant_round, &round, &found), CODE_OK);
    assert_int_equal(found.n, 1);
    world_healthy(w);
}

/* D-19: of two servers that look at once, the second finds the slot taken. Each has another run, so
 * that they meet at the runner. */
static void two_servers_share_a_slot(void **state)
{
    struct world *w = world(state);
    struct grant_round first = {.max = 1};
    struct grant_leases mine, theirs = {.n = 99};

    RUNNER(w, "a", .slots = 1);
    PLAN(w, .n = 1);
    PLAN(w, .n = 1);
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(grant_round(&w->tx, &first, &mine), 0);
    assert_int_equal(mine.n, 1);
    first.max = 2;
    assert_int_equal(world_meet(w, (world_call *)grant_round, &first, &theirs), CODE_OK);
    assert_true(theirs.n == 0 && theirs.more);
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
    assert_int_equal(accept(w, ROUND(w).list[0].lease), CODE_OK);
    world_healthy(w);
    store_testing_sql(w->place, "UPDATE task SET expires_at = 0");
    DO(w, doctor_check(&w->tx, NULL, &report));
    for (size_t i = 0; i < report.n; i++)
        if (str_eq(report.checks[i].id, STR("push_lease")))
            found = report.checks[i].found;
    assert_int_equal(found, 2);
}

static void bad_requests(void **state)
{
    struct world *w = world(state);
    const struct grant_refusal bad = {
        .lease = {1, 1},
          .message = STR("\xff")
    };
    struct grant_leases leases;
    struct grant_keeps keeps;
    struct task_codes codes;

    REFUSED(w, grant_round(&w->tx, &(struct grant_round){.max = 0}, &leases), CODE_INVALID);
    REFUSED(w, grant_round(&w->tx, &(struct grant_round){.max = GRANT_MAX + 1}, &leases),
            CODE_INVALID);
    REFUSED(w, grant_accept(&w->tx, &(struct grant_refs){0}, &codes), CODE_INVALID);
    REFUSED(w, grant_keep(&w->tx, &(struct grant_refs){0}, &keeps), CODE_INVALID);
    REFUSED(w, grant_refuse(&w->tx, &(struct grant_refuse){&bad, 1}, &codes), CODE_INVALID);
}

#define FILE_AND_POSTGRES(name) ENGINE_FILE_TEST(name), ENGINE_TEST(name, postgres, postgres)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_AND_POSTGRES(a_ready_stage_goes_to_a_runner),
        FILE_AND_POSTGRES(the_least_loaded_is_chosen),
        FILE_AND_POSTGRES(equals_take_turns),
        FILE_AND_POSTGRES(it_waits_for_a_runner),
        FILE_AND_POSTGRES(what_is_demanded_is_there),
        FILE_AND_POSTGRES(slots_are_never_exceeded),
        FILE_AND_POSTGRES(who_is_not_well_gets_nothing),
        FILE_AND_POSTGRES(who_is_past_its_ttl_gets_nothing),
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
        FILE_AND_POSTGRES(runs_take_turns),
        FILE_AND_POSTGRES(one_slot_goes_round),
        FILE_AND_POSTGRES(within_a_run),
        FILE_AND_POSTGRES(a_walk_over_many_demands),
        FILE_AND_POSTGRES(a_cancelled_run_names_its_leases),
        FILE_AND_POSTGRES(decisions_leave_a_trace),
        FILE_AND_POSTGRES(a_trace_has_a_bound),
        FILE_AND_POSTGRES(old_traces_leave),
        FILE_AND_POSTGRES(what_was_written_travels),
        FILE_AND_POSTGRES(a_reborn_runner_keeps_what_it_names),
        ENGINE_TESTS(who_is_heard_of_again_gets_stages),
        ENGINE_TEST(an_old_lease_hides_no_stage, postgres, postgres),
        ENGINE_TEST(two_servers_share_a_slot, postgres, postgres),
        FILE_AND_POSTGRES(a_lease_without_an_end_is_found),
        FILE_AND_POSTGRES(bad_requests),
    };

    return ENGINE_MAIN(tests);
}
