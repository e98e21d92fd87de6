/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans that many write to, work on and cancel at once, each with a thread and a connection of its
 * own: locks are taken in one order (docs/engine.md), so that no two of them wait for each other.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/change.h"
#include "engine/engine_testing.h"
#include "engine/grant.h"
#include "engine/lease.h"
#include "engine/plan.h"

#define THREADS      6
#define RUNS         4
#define TRANSACTIONS 1500
#define LEASES_MAX   64 /* that somebody may end or renew */
#define SOME         8

struct crowd {
    struct store_testing *place;
    atomic_int done, again;
    atomic_llong names;

    pthread_mutex_t lock; /* of all that follows */
    int64_t runs[RUNS];
    struct grant_lease leases[LEASES_MAX]; /* their ids alone */
    size_t leases_n;
    char problem[1000]; /* the first one */
};

struct member {
    struct crowd *crowd;
    pthread_t thread;
    struct store *store;
    struct arena arena;
    struct prng prng;
    struct tx tx;
    char name[8];
    int64_t worker;
};

typedef int request(struct tx *tx, const void *req, void *reply);

#define REQUEST(name)                                                                              \
    static int do_##name(struct tx *tx, const void *req, void *reply)                              \
    {                                                                                              \
        return name(tx, req, reply);                                                               \
    }
REQUEST(worker_join)
REQUEST(worker_beat)
REQUEST(worker_leave)
REQUEST(grant_round)
REQUEST(grant_accept)
REQUEST(grant_refuse)
REQUEST(grant_keep)
REQUEST(lease_renew)
REQUEST(task_complete)
REQUEST(plan_create)
REQUEST(plan_write)
REQUEST(plan_seal)
REQUEST(plan_claim)
REQUEST(run_cancel)
REQUEST(reaper_scan)

static int once(struct member *m, request *call, const void *req, void *reply)
{
    int r = tx_begin(&m->tx);

    if (!r)
        r = call(&m->tx, req, reply);
    if (!r)
        return tx_commit(&m->tx);
    tx_rollback(&m->tx);
    return r;
}

static void problem(struct crowd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct crowd *c, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&c->lock);
    va_start(args, format);
    if (!c->problem[0])
        vsnprintf(c->problem, sizeof(c->problem), format, args);
    va_end(args);
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->done, TRANSACTIONS);
}

/* One transaction. False where it was refused. */
static bool run(struct member *m, request *call, const void *req, void *reply)
{
    struct crowd *c = m->crowd;
    int r;

    do {
        r = once(m, call, req, reply);
        if (r == -EAGAIN)
            atomic_fetch_add(&c->again, 1);
    } while ((r == -EAGAIN || r == -EBUSY) && atomic_load(&c->done) < TRANSACTIONS);
    if (r < 0 && r != -EAGAIN && r != -EBUSY)
        problem(c, "fault %d: " STR_FMT " (%s)", r, STR_ARG(store_error(m->store)), fault_take());
    return r == 0;
}

static size_t draw(struct member *m, size_t n)
{
    return (size_t)prng_below(&m->prng, n);
}

static int64_t any_run(struct member *m)
{
    int64_t ret;

    pthread_mutex_lock(&m->crowd->lock);
    ret = m->crowd->runs[draw(m, RUNS)];
    pthread_mutex_unlock(&m->crowd->lock);
    return ret;
}

/* Up to `max` of the leases that are known; `take`: nobody else has them afterwards. */
static size_t some_leases(struct member *m, struct grant_lease *ret, size_t max, bool take)
{
    struct crowd *c = m->crowd;
    size_t n = 0;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < max && c->leases_n; i++) {
        size_t at = draw(m, c->leases_n);

        ret[n++] = c->leases[at];
        if (take)
            c->leases[at] = c->leases[--c->leases_n];
    }
    pthread_mutex_unlock(&c->lock);
    return n;
}

static void know(struct member *m, struct grant_lease l)
{
    struct crowd *c = m->crowd;

    pthread_mutex_lock(&c->lock);
    if (c->leases_n < LEASES_MAX)
        c->leases[c->leases_n++] = (struct grant_lease){.lease = l.lease, .run = l.run};
    pthread_mutex_unlock(&c->lock);
}

static struct str new_name(struct member *m, const char *kind)
{
    return str_printf(&m->arena, "%s%lld", kind, atomic_fetch_add(&m->crowd->names, 1));
}

/* A runner that is silent for a second is lost, unless its thread happens to beat. */
static void join(struct member *m)
{
    const struct worker_join req = {
        .worker = {.name = str_of(m->name),
                   .type = STR("build"),
                   .address = STR("127.0.0.1:1"),
                   .modes = PLACEMENT_MODES_ALL,
                   .slots = 12,
                   .ttl_us = CLOCK_S},
        .takeover = true,
    };
    struct worker_joined joined;

    if (run(m, do_worker_join, &req, &joined))
        m->worker = joined.worker.worker.incarnation;
}

static void beat(struct member *m)
{
    struct worker_beat_reply reply;

    if (!run(m, do_worker_beat, &m->worker, &reply))
        join(m);
}

/* Four stages that answer a check, and one that needs two of them and cancels the rest. */
static void write(struct member *m)
{
    const struct retry_policy retry = {
        .max_attempts = 3,
        .base_us = CLOCK_MS,
        .cap_us = CLOCK_MS,
        .factor = 1,
        .outcomes = 1u << OUTCOME_FAILED | 1u << OUTCOME_TIMED_OUT | 1u << OUTCOME_LOST,
    };
    struct plan_stage stages[5];
    struct plan_check check = {.name = new_name(m, "c")};
    const struct plan_assignment answers = {.check = check.name};
    struct str names[4];
    const struct plan_group some = {GROUP_AT_LEAST, 2, names, 4, true};
    struct plan_write req = {
        .run = any_run(m), .checks = &check, .checks_n = 1, .stages = stages, .stages_n = 5};
    struct plan_written reply;
    struct grant_lease writer;

    for (size_t i = 0; i < 5; i++)
        stages[i] = (struct plan_stage){
            .name = new_name(m, "s"),
            .type = i == 3 ? STR("") : STR("build"),
            .async = i == 2,
            .timeout_us = (int64_t)(1 + draw(m, 300)) * CLOCK_MS,
            .retry = &retry,
            .has_assignments = true,
            .assignments = &answers,
            .assignments_n = 1,
        };
    for (size_t i = 0; i < 4; i++)
        names[i] = stages[i].name;
    stages[4].has_groups = true;
    stages[4].groups = &some;
    stages[4].groups_n = 1;
    if (draw(m, 2) && some_leases(m, &writer, 1, false)) {
        req.run = writer.run;
        req.writer = writer.lease;
    }
    run(m, do_plan_write, &req, &reply);
}

static void give_out(struct member *m)
{
    const struct grant_round req = {.max = SOME};
    struct grant_refs refs;
    struct grant_leases reply;
    struct task_codes codes;

    if (!run(m, do_grant_round, &req, &reply))
        return;
    for (size_t i = 0; i < reply.n; i++)
        know(m, reply.list[i]);
    for (size_t i = 0; i < reply.n; i++)
        if (reply.list[i].accept_by && draw(m, 4)) {
            refs = (struct grant_refs){&reply.list[i].lease, 1};
            run(m, do_grant_accept, &refs, &codes);
        }
}

static void claim(struct member *m)
{
    const struct task_claim req = {.run = any_run(m), .worker = m->worker, .max = SOME};
    struct task_leases reply;

    if (!run(m, do_plan_claim, &req, &reply))
        return;
    for (size_t i = 0; i < reply.n; i++) {
        const struct task_lease *l = &reply.list[i];

        know(m, (struct grant_lease){
                    .lease = {l->task, l->token},
                      .run = l->run
        });
    }
}

static void complete(struct member *m)
{
    struct grant_lease leases[SOME];
    struct task_result results[SOME];
    struct task_complete req = {results, some_leases(m, leases, 1 + draw(m, SOME), true)};
    struct task_codes codes;

    for (size_t i = 0; i < req.n; i++)
        results[i] =
            (struct task_result){.lease = leases[i].lease,
                                 .outcome = draw(m, 4) ? OUTCOME_SUCCEEDED : OUTCOME_FAILED,
                                 .exit_code = -1};
    if (req.n)
        run(m, do_task_complete, &req, &codes);
}

static void refuse(struct member *m)
{
    struct grant_lease lease;
    struct grant_refusal refusal = {.reason = TASK_REASON_NOT_ACCEPTED};
    const struct grant_refuse req = {&refusal, 1};
    struct task_codes codes;

    if (!some_leases(m, &lease, 1, true))
        return;
    refusal.lease = lease.lease;
    run(m, do_grant_refuse, &req, &codes);
}

/* Leases of many runs in one request. */
static void renew(struct member *m)
{
    struct grant_lease leases[SOME];
    struct lease_progress list[SOME];
    struct lease_renew req = {list, some_leases(m, leases, SOME, false), 0};
    struct lease_renewals reply;

    for (size_t i = 0; i < req.n; i++)
        list[i] = (struct lease_progress){leases[i].lease, (int)draw(m, 101), STR("on"), STR("")};
    if (req.n)
        run(m, do_lease_renew, &req, &reply);
}

static void keep(struct member *m)
{
    struct grant_lease leases[SOME];
    struct lease_ref list[SOME];
    const struct grant_refs req = {list, some_leases(m, leases, SOME, false)};
    struct grant_keeps reply;

    for (size_t i = 0; i < req.n; i++)
        list[i] = leases[i].lease;
    if (req.n)
        run(m, do_grant_keep, &req, &reply);
}

/* A plan ends, another one takes its place. */
static void replace(struct member *m)
{
    struct crowd *c = m->crowd;
    int64_t old = any_run(m);
    struct run_row row;

    if (!run(m, draw(m, 2) ? do_run_cancel : do_plan_seal, &old, &row) ||
        !run(m, do_plan_create, &(struct plan_create){0}, &row))
        return;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < RUNS; i++)
        if (c->runs[i] == old)
            c->runs[i] = row.id;
    pthread_mutex_unlock(&c->lock);
}

static void scan(struct member *m)
{
    struct reaper_reply reply;

    run(m, do_reaper_scan, NULL, &reply);
}

static void *work(void *context)
{
    static const struct {
        size_t to; /* of 100 */
        void (*act)(struct member *m);
    } acts[] = {
        {18,  write   },
        {36,  give_out},
        {42,  claim   },
        {60,  complete},
        {63,  refuse  },
        {78,  renew   },
        {86,  keep    },
        {94,  scan    },
        {98,  beat    },
        {100, replace },
    };
    struct member *m = context;
    struct worker_row left;

    join(m);
    while (atomic_fetch_add(&m->crowd->done, 1) < TRANSACTIONS) {
        size_t n = draw(m, 100), i = 0;

        arena_reset(&m->arena);
        while (acts[i].to <= n)
            i++;
        acts[i].act(m);
    }
    run(m, do_worker_leave, &m->worker, &left);
    return NULL;
}

static void open_member(struct crowd *c, struct member *m, size_t number)
{
    *m = (struct member){.crowd = c, .store = store_testing_open(c->place, STORE_WRITE)};
    snprintf(m->name, sizeof(m->name), "w%zu", number);
    prng_seed(&m->prng, number + 1);
    m->tx = (struct tx){.store = m->store, .arena = &m->arena, .prng = &m->prng};
}

static void close_member(struct member *m)
{
    store_free(m->store);
    arena_deinit(&m->arena);
}

/* D-31, A-69: a deadlock would be found by Postgres after a second, and be done again. */
static void nobody_waits_in_a_circle(void **state)
{
    struct world *w = world(state);
    struct crowd *c = calloc(1, sizeof(*c));
    struct member members[THREADS];
    struct run_row row;

    c->place = w->place;
    pthread_mutex_init(&c->lock, NULL);
    for (size_t i = 0; i < RUNS; i++) {
        DO(w, plan_create(&w->tx, &(struct plan_create){0}, &row));
        c->runs[i] = row.id;
    }
    for (size_t i = 0; i < THREADS; i++)
        open_member(c, &members[i], i);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&members[i].thread, NULL, work, &members[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(members[i].thread, NULL);
        close_member(&members[i]);
    }
    if (c->problem[0])
        fail_msg("%s", c->problem);
    world_healthy(w);
    assert_int_equal(atomic_load(&c->again), 0);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_FILE_TEST(nobody_waits_in_a_circle),
        ENGINE_TEST(nobody_waits_in_a_circle, postgres, postgres),
    };

    return ENGINE_MAIN(tests);
}
