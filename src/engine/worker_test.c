/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: incarnations, heartbeats, slots, and what becomes of what they held. */
#include <pthread.h>

#include "engine/engine_testing.h"

#define TWO_TASKS "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"

static struct worker_row get(struct world *w, int64_t incarnation)
{
    struct worker_row none = {0};
    struct worker_rows list;

    DO(w, worker_list(&w->tx, NULL, &list));
    for (size_t i = 0; i < list.n; i++)
        if (list.list[i].incarnation == incarnation)
            return list.list[i];
    return none;
}

static enum worker_state beat(struct world *w)
{
    struct worker_beat_reply reply;

    DO(w, worker_beat(&w->tx, &w->worker, &reply));
    return reply.state;
}

/* The kinds of the worker's events so far, each with a blank before it. */
static const char *events(struct world *w)
{
    const char *text = "";
    struct event_rows list;

    DO(w, event_list(&w->tx, &(struct event_list){.max = 1000}, &list));
    for (size_t i = 0; i < list.n; i++)
        if (str_starts(list.list[i].kind, STR("worker_")))
            text = str_printf(&w->arena, "%s " STR_FMT, text, STR_ARG(list.list[i].kind)).p;
    return text;
}

static void each_registration_is_another_incarnation(void **state)
{
    struct world *w = world(state);
    int64_t first = world_join(w, 3), second = world_join(w, 4);

    assert_true(second > first);
    assert_int_equal(get(w, first).slots, 3);
    assert_int_equal(get(w, second).slots, 4);
    assert_int_equal(get(w, second).state, WORKER_READY);
    world_healthy(w);
}

static void bad_registrations_are_refused(void **state)
{
    struct world *w = world(state);
    char long_name[WORKER_NAME_BYTES_MAX + 1];
    const struct {
        const char *name;
        struct worker_register req;
    } rows[] = {
        {"no name",       {.name = STR(""), .slots = 1, .ttl_us = CLOCK_S}                       },
        {"long name",     {.name = {long_name, sizeof(long_name)}, .slots = 1, .ttl_us = CLOCK_S}},
        {"no UTF-8",      {.name = STR("\xc3"), .slots = 1, .ttl_us = CLOCK_S}                   },
        {"no slots",      {.name = STR("w"), .slots = 0, .ttl_us = CLOCK_S}                      },
        {"many slots",    {.name = STR("w"), .slots = WORKER_SLOTS_MAX + 1, .ttl_us = CLOCK_S}   },
        {"short to live", {.name = STR("w"), .slots = 1, .ttl_us = WORKER_TTL_US_MIN - 1}        },
        {"long to live",  {.name = STR("w"), .slots = 1, .ttl_us = WORKER_TTL_US_MAX + 1}        },
    };
    struct worker_row row;

    memset(long_name, 'x', sizeof(long_name));
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        w->row = rows[i].name;
        REFUSED(w, worker_register(&w->tx, &rows[i].req, &row), CODE_INVALID);
    }
}

/* Until it is over, nobody else carries its run. */
static void one_worker_carries_a_run(void **state)
{
    struct world *w = world(state);
    struct worker_register req = {.name = STR("w"),
                                  .kind = STR("local"),
                                  .host = STR("h"),
                                  .pid = 7,
                                  .slots = 1,
                                  .ttl_us = 60 * CLOCK_S};
    int64_t run = world_start(w, TWO_TASKS), other = world_start(w, TWO_TASKS);
    struct worker_row first, row;

    req.run = 99;
    REFUSED(w, worker_register(&w->tx, &req, &row), CODE_RUN_NOT_FOUND);
    req.run = run;
    DO(w, worker_register(&w->tx, &req, &first));
    REFUSED(w, worker_register(&w->tx, &req, &row), CODE_RUN_HELD);
    CHECK_TEXT(w->tx.problem.text, "run 1 is carried by the weft with process id 7 on h; watch it, "
                                   "or cancel it");
    req.run = other;
    DO(w, worker_register(&w->tx, &req, &row));
    DO(w, worker_leave(&w->tx, &first.incarnation, &row));
    req.run = run;
    DO(w, worker_register(&w->tx, &req, &row));
}

static int enter(struct tx *tx, const void *req, void *reply)
{
    return worker_register(tx, req, reply);
}

/* Both have looked before either has registered: the second waits for the first. */
static void of_two_that_come_at_once_one_carries_the_run(void **state)
{
    struct world *w = world(state);
    const struct worker_register req = {
        .name = STR("w"),
        .kind = STR("local"),
        .host = STR("h"),
        .slots = 1,
        .ttl_us = 60 * CLOCK_S,
        .run = world_start(w, TWO_TASKS),
    };
    struct worker_row first, second;

    STORE_OK(w->store, world_begin(w));
    assert_int_equal(worker_register(&w->tx, &req, &first), 0);
    assert_int_equal(world_meet(w, enter, &req, &second), CODE_RUN_HELD);
}

static void unknown_workers_are_refused(void **state)
{
    struct world *w = world(state);
    int64_t nobody = 99, run = world_start(w, TWO_TASKS);
    struct worker_lose_reply lost;
    struct worker_beat_reply reply;
    struct task_leases leases;
    struct worker_row row;

    REFUSED(w, worker_beat(&w->tx, &nobody, &reply), CODE_WORKER_NOT_FOUND);
    REFUSED(w, worker_drain(&w->tx, &nobody, &row), CODE_WORKER_NOT_FOUND);
    REFUSED(w, worker_leave(&w->tx, &nobody, &row), CODE_WORKER_NOT_FOUND);
    REFUSED(w, worker_lose(&w->tx, &(struct worker_lose){nobody, STR("x"), 0}, &lost),
            CODE_WORKER_NOT_FOUND);
    REFUSED(
        w,
        task_claim(&w->tx, &(struct task_claim){.worker = nobody, .run = run, .max = 1}, &leases),
        CODE_WORKER_NOT_FOUND);
}

/* Claims past the slots would be taken from whoever has room. */
static void holds_no_more_than_its_slots(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n  b: {run: [x]}\n"
                                 "  c: {run: [x]}\n  d: {run: [x]}\n");
    struct task_leases l;
    struct task_lease first;

    world_join(w, 2);
    l = world_claim(w, run, 10);
    assert_int_equal(l.n, 2);
    first = l.list[0];
    assert_int_equal(world_claim(w, run, 10).n, 0);
    assert_int_equal(get(w, w->worker).busy, 2);
    world_healthy(w);
    world_complete(w, &first, OUTCOME_SUCCEEDED);
    assert_int_equal(world_claim(w, run, 10).n, 1);
    world_healthy(w);
}

/* One that is late, or drains, gets nothing; it is not told that it is over, which would make it
 * drop what it holds. */
static void only_a_ready_worker_gets_tasks(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, TWO_TASKS);
    struct worker_row row;

    w->now = 1900000000 * CLOCK_S;
    world_join(w, 2);
    w->now += 30 * CLOCK_S;
    world_reap(w);
    assert_int_equal(get(w, w->worker).state, WORKER_SUSPECT);
    assert_int_equal(world_claim(w, run, 1).n, 0);
    assert_int_equal(beat(w), WORKER_READY);
    assert_int_equal(world_claim(w, run, 1).n, 1);
    DO(w, worker_drain(&w->tx, &w->worker, &row));
    assert_int_equal(row.state, WORKER_DRAINING);
    DO(w, worker_drain(&w->tx, &w->worker, &row));
    assert_int_equal(beat(w), WORKER_DRAINING);
    assert_int_equal(world_claim(w, run, 1).n, 0);
    DO(w, worker_leave(&w->tx, &w->worker, &row));
    assert_int_equal(row.state, WORKER_GONE);
    assert_string_equal(events(w), " worker_READY worker_SUSPECT worker_READY worker_DRAINING "
                                   "worker_GONE");
    world_healthy(w);
}

/* A-48: what a lost worker held is given out again, and its own word comes too late. */
static void lost_worker_gives_back(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct worker_beat_reply reply;
    struct worker_lose_reply lost;
    struct task_lease old, new;
    struct task_leases leases;
    struct worker_row row;

    world_join(w, 10);
    old = world_claim_one(w, run);
    DO(w, worker_lose(&w->tx, &(struct worker_lose){w->worker, STR("its \"plug\" was pulled"), 0},
                      &lost));
    assert_int_equal(lost.n, 1);
    assert_int_equal(lost.tasks[0], old.task);
    CHECK_TEXT(lost.names[0], "a");
    assert_string_equal(world_states(w, run), "R");
    CHECK_TEXT(world_task(w, run, "a").task.attempts[0].message, "its \"plug\" was pulled");
    REFUSED(w, worker_beat(&w->tx, &w->worker, &reply), CODE_WORKER_LOST);
    REFUSED(w, worker_drain(&w->tx, &w->worker, &row), CODE_WORKER_LOST);
    REFUSED(w,
            task_claim(&w->tx, &(struct task_claim){.worker = w->worker, .run = run, .max = 1},
                       &leases),
            CODE_WORKER_LOST);
    world_healthy(w);
    /* To lose it again, or to leave when lost, is nothing new. */
    DO(w, worker_lose(&w->tx, &(struct worker_lose){w->worker, STR("again"), 0}, &lost));
    assert_int_equal(lost.n, 0);
    DO(w, worker_leave(&w->tx, &w->worker, &row));
    assert_int_equal(row.state, WORKER_LOST);

    world_join(w, 10);
    new = world_claim_one(w, run);
    assert_int_equal(new.attempt, 2);
    assert_int_equal(world_complete(w, &old, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_int_equal(world_complete(w, &new, OUTCOME_SUCCEEDED), CODE_OK);
    assert_int_equal(world_complete(w, &old, OUTCOME_SUCCEEDED), CODE_LEASE_LOST);
    assert_string_equal(events(w), " worker_READY worker_LOST worker_READY");
    world_healthy(w);
}

/* Whoever judged it by an old heartbeat is told so, and nothing happens to it. */
static void a_heartbeat_meanwhile_keeps_it(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct worker_lose lose = {.reason = STR("its heartbeat stopped")};
    struct worker_lose_reply lost;
    struct worker_beat_reply beat;
    struct worker_rows list;
    struct task_lease lease;

    w->now = 1000 * CLOCK_S;
    lose.incarnation = world_join(w, 1);
    lose.beat_at = w->now;
    lease = world_claim_one(w, run);
    w->now += 120 * CLOCK_S;
    DO(w, worker_beat(&w->tx, &lose.incarnation, &beat));
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(worker_lose(&w->tx, &lose, &lost), ENGINE_E_REFUSED);
    assert_int_equal(w->tx.problem.code, CODE_WORKER_ALIVE);
    /* Even without an undo. */
    STORE_OK(w->store, tx_commit(&w->tx));
    DO(w, worker_list(&w->tx, NULL, &list));
    assert_int_equal(list.n, 1);
    assert_int_equal(list.list[0].state, WORKER_READY);
    assert_string_equal(world_states(w, run), "r");

    lose.beat_at = w->now;
    DO(w, worker_lose(&w->tx, &lose, &lost));
    assert_int_equal(lost.n, 1);
    assert_int_equal(lost.tasks[0], lease.task);
    /* Who is lost already is no news, whatever its heartbeat was. */
    lose.beat_at = 1;
    DO(w, worker_lose(&w->tx, &lose, &lost));
    assert_int_equal(lost.n, 0);
    world_healthy(w);
}

/* A task that kills its workers is not given out for ever. */
static void losses_count_as_attempts(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct worker_row row;

    for (int i = 0; i < 3; i++) {
        world_join(w, 1);
        assert_int_equal(world_claim_one(w, run).attempt, i + 1);
        DO(w, worker_leave(&w->tx, &w->worker, &row));
    }
    assert_string_equal(world_states(w, run), "F");
    CHECK_TEXT(world_task(w, run, "a").task.reason, "worker_lost");
    assert_int_equal(world_look(w, run).run.state, RUN_FAILED);
    world_healthy(w);
}

/* The heartbeat tells which leases to stop, and no others. */
static void heartbeat_tells_what_to_stop(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, TWO_TASKS), other = world_start(w, TWO_TASKS);
    struct worker_beat_reply reply;
    struct task_leases l;
    struct run_row row;

    world_join(w, 10);
    l = world_claim(w, run, 10);
    world_claim(w, other, 10);
    DO(w, worker_beat(&w->tx, &w->worker, &reply));
    assert_int_equal(reply.stop_n, 0);
    DO(w, run_cancel(&w->tx, &run, &row));
    DO(w, worker_beat(&w->tx, &w->worker, &reply));
    assert_int_equal(reply.stop_n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(reply.stop[i].task, l.list[i].task);
        assert_int_equal(reply.stop[i].token, l.list[i].token);
    }
    world_healthy(w);
}

/* Another program, with one request under way while ours is open. */
struct other {
    struct store *store;
    int64_t worker, run;
    bool loses; /* it takes the worker out; else it claims */
    pthread_t thread;
    struct arena arena;
    int r;
    enum code code;
    size_t n; /* tasks taken back, or given out */
};

static void *act(void *context)
{
    struct other *o = context;
    const struct task_claim claim = {.worker = o->worker, .run = o->run, .max = 1};
    struct worker_lose_reply lost = {0};
    struct task_leases leases = {0};
    struct prng prng;
    struct tx tx = {.store = o->store, .arena = &o->arena, .prng = &prng};

    prng_seed(&prng, 1);
    o->r = tx_begin(&tx);
    if (!o->r)
        o->r = o->loses ? worker_lose(&tx, &(struct worker_lose){o->worker, STR("x"), 0}, &lost)
                        : task_claim(&tx, &claim, &leases);
    o->code = tx.problem.code;
    o->n = o->loses ? lost.n : leases.n;
    if (o->r)
        tx_rollback(&tx);
    else
        o->r = tx_commit(&tx);
    return NULL;
}

/* Begin, and come to a lock that our transaction holds. */
static void begin_beside(struct world *w, struct other *o)
{
    assert_int_equal(pthread_create(&o->thread, NULL, act, o), 0);
    world_await_lock(w);
}

static void end_beside(struct other *o)
{
    pthread_join(o->thread, NULL);
    store_free(o->store);
    arena_deinit(&o->arena);
}

/* Whoever takes a worker out saw none of the task that it was just given: it is taken back all the
 * same. */
static void a_claim_under_way_is_taken_back(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct other o = {.store = store_testing_open(w->place, STORE_WRITE), .loses = true};
    struct task_leases leases;

    o.worker = world_join(w, 1);
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(task_claim(&w->tx,
                                &(struct task_claim){.worker = w->worker, .run = run, .max = 1},
                                &leases),
                     0);
    assert_int_equal(leases.n, 1);
    begin_beside(w, &o);
    STORE_OK(w->store, tx_commit(&w->tx));
    end_beside(&o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.n, 1);
    assert_string_equal(world_states(w, run), "R");
    world_healthy(w);
}

/* A claim that comes while the worker is taken out waits, and is told. */
static void a_claim_behind_the_end_is_refused(void **state)
{
    struct world *w = world(state);
    int64_t run = world_start(w, "weft: 1\ntasks:\n  a: {run: [x]}\n");
    struct other o = {.store = store_testing_open(w->place, STORE_WRITE), .run = run};
    struct worker_lose_reply lost;

    o.worker = world_join(w, 1);
    STORE_OK(w->store, world_begin(w));
    assert_int_equal(worker_lose(&w->tx, &(struct worker_lose){w->worker, STR("x"), 0}, &lost), 0);
    begin_beside(w, &o);
    STORE_OK(w->store, tx_commit(&w->tx));
    end_beside(&o);
    assert_int_equal(o.r, ENGINE_E_REFUSED);
    assert_int_equal(o.code, CODE_WORKER_LOST);
    assert_string_equal(world_states(w, run), "R");
    world_healthy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TESTS(each_registration_is_another_incarnation),
        ENGINE_TESTS(bad_registrations_are_refused),
        ENGINE_TESTS(one_worker_carries_a_run),
        ENGINE_TEST(of_two_that_come_at_once_one_carries_the_run, postgres, postgres),
        ENGINE_TESTS(unknown_workers_are_refused),
        ENGINE_TESTS(holds_no_more_than_its_slots),
        ENGINE_TESTS(only_a_ready_worker_gets_tasks),
        ENGINE_TESTS(lost_worker_gives_back),
        ENGINE_TESTS(a_heartbeat_meanwhile_keeps_it),
        ENGINE_TESTS(losses_count_as_attempts),
        ENGINE_TESTS(heartbeat_tells_what_to_stop),
        ENGINE_TEST(a_claim_under_way_is_taken_back, postgres, postgres),
        ENGINE_TEST(a_claim_behind_the_end_is_refused, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
