/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant.h"

#include "base/test.h"
#include "engine/grant_testing.h"
#include "engine/lease.h"
#include "engine/plan.h"

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
    l = grants_one(w);
    assert_true(l.run == run && l.worker == runner && l.attempt == 1 && l.lease.token > 0);
    CHECK_TEXT(l.name, "s1");
    CHECK_TEXT(l.type, "build");
    CHECK_TEXT(l.runner, "r1");
    CHECK_TEXT(l.address, "r1:1");
    CHECK_TEXT(l.args, "{\"n\":1}");
    assert_true(l.mode == PLACEMENT_SYNC && l.accept_by == 0 && l.progress_us == 0);
    assert_true(l.deadline_at == w->now + 60 * S && l.ready_at == T);
    assert_string_equal(world_states(w, run), "r");
    assert_int_equal(grants_busy(w, runner), 1);
    assert_int_equal(ROUND(w).n, 0);
    world_healthy(w);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(grants_busy(w, runner), 0);
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
    assert_int_equal(grants_busy(w, few), 2);
    assert_int_equal(grants_busy(w, many), 4);
    for (size_t i = 0; i < l.n; i++)
        if (l.list[i].worker == many)
            assert_int_equal(grants_complete(w, l.list[i].lease, OUTCOME_SUCCEEDED), CODE_OK);
    PLAN(w, .n = 1);
    assert_int_equal(grants_one(w).worker, many);
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
        l = grants_one(w);
        assert_int_equal(l.worker, ids[i % 3]);
        assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
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
    CHECK_TEXT(grants_why(w, task).sentence, "no runner of type \"build\" is registered");
    RUNNER(w, "r1");
    assert_int_equal(grants_one(w).lease.task, task);
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
    assert_int_equal(grants_busy(w, runner), 10);
    for (int i = 0; i < 4; i++)
        assert_string_equal(world_states(w, runs[i]), "RRRRRRRRRRRRRRRRRRRR");
    assert_int_equal(grants_why(w, world_task(w, runs[0], "s1").task.id).now[0].verdict,
                     PLACEMENT_MODE_UNSUPPORTED);
    assert_int_equal(grants_why(w, world_task(w, runs[1], "s1").task.id).now[0].verdict,
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
    CHECK_TEXT(grants_why(w, world_task(w, run, "s3").task.id).sentence,
               "none of the 1 runners of type \"build\" can take it: 1 have all of their slots "
               "taken");
    assert_int_equal(grants_complete(w, l.list[0].lease, OUTCOME_FAILED), CODE_OK);
    next = ROUND(w);
    assert_true(next.n == 1 && next.list[0].lease.task != l.list[1].lease.task);
    assert_int_equal(grants_busy(w, runner), 2);
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
    assert_int_equal(grants_round(w, &req).n, 0);
    DO(w, grant_why(&w->tx, &(struct grant_which){task, &ids[2], 1}, &y));
    assert_int_equal(y.now_n, 3);
    assert_true(y.now[0].verdict == PLACEMENT_DRAINING && y.now[1].verdict == PLACEMENT_SUSPECT &&
                y.now[2].verdict == PLACEMENT_BREAKER_OPEN);
    assert_int_equal(grants_one(w).worker, ids[2]);
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
        struct grant_leases l = grants_round(w, &req);

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
        struct grant_leases l = grants_round(w, &req);

        req.turns = l.turns;
        assert_true(l.n == 1 && l.list[0].run == runs[i % 3]);
        assert_int_equal(grants_complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
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
    assert_int_equal(grants_complete(w, l.list[0].lease, OUTCOME_SUCCEEDED), CODE_OK);
    CHECK_TEXT(grants_one(w).name, "s2");
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
        struct grant_leases l = grants_round(w, &req);

        assert_true(rounds < 5);
        req.after = l.after;
        req.turns = l.turns;
        more = l.more;
    }
    assert_true(rounds > 1);
    assert_int_equal(grants_last(w, run, "s127").running, true);
    assert_int_equal(grants_last(w, last, "s1").running, true);
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
    l = grants_one(w);
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
    assert_int_equal(grants_accept(w, l.lease), CODE_OK);
    assert_int_equal(grants_complete(w, l.lease, OUTCOME_SUCCEEDED), CODE_OK);
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
        FILE_AND_POSTGRES(runs_take_turns),
        FILE_AND_POSTGRES(one_slot_goes_round),
        FILE_AND_POSTGRES(within_a_run),
        FILE_AND_POSTGRES(a_walk_over_many_demands),
        FILE_AND_POSTGRES(what_was_written_travels),
        ENGINE_TESTS(who_is_heard_of_again_gets_stages),
        ENGINE_TEST(an_old_lease_hides_no_stage, postgres, postgres),
        ENGINE_TEST(two_servers_share_a_slot, postgres, postgres),
        FILE_AND_POSTGRES(bad_requests),
    };

    return ENGINE_MAIN(tests);
}
