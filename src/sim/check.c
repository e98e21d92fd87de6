/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/check.h"

#include <inttypes.h>
#include <string.h>

#include "base/fault.h"
#include "base/memory.h"
#include "engine/doctor.h"
#include "engine/queue.h"
#include "engine/run.h"
#include "sim/check_plans.h"
#include "sim/check_tasks.h"
#include "sim/model.h"
#include "sim/sim_actors.h"

struct check {
    struct tx tx;
    struct prng prng;
    struct arena arena;
};

/* What only time heals: while no server runs, nobody takes back what is over. */
static bool heals(struct str id)
{
    return str_eq(id, STR("worker_silent")) || str_eq(id, STR("lease_expired"));
}

static void check_doctor(struct sim *s, struct check *c)
{
    struct doctor_report report = {0};

    if (doctor_check(&c->tx, NULL, &report)) {
        world_fail(s, "doctor", "the doctor failed: %s", fault_take());
        return;
    }
    for (size_t i = 0; i < report.n; i++) {
        const struct doctor_check *d = &report.checks[i];

        if (d->found && !heals(d->id))
            world_fail(s, "doctor", STR_FMT ": " STR_FMT ": %" PRId64 " found, such as " STR_FMT,
                       STR_ARG(d->id), STR_ARG(d->text), d->found, STR_ARG(d->example));
    }
}

static void check_counts(struct sim *s, struct check *c, struct str name)
{
    struct queue_status status = {0};
    int64_t counts[TASK_STATE_N];
    int r = queue_get(&c->tx, &name, &status);

    if (r == ENGINE_E_REFUSED) /* nobody has made it yet */
        return;
    if (r) {
        world_fail(s, "counts", "a queue cannot be read: %s", fault_take());
        return;
    }
    model_counts(s->model, name, counts);
    for (size_t i = 0; i < TASK_STATE_N; i++)
        if (status.counts[i] != counts[i])
            world_fail(
                s, "counts", "queue " STR_FMT " counts %" PRId64 " tasks as %s, and has %" PRId64,
                STR_ARG(name), status.counts[i], task_state_text((enum task_state)i).p, counts[i]);
}

/* Runs as the store has them. */
static void check_runs(struct sim *s, struct check *c)
{
    for (uint64_t i = 0; i < model_runs(s->model); i++) {
        const struct run_get req = {.id = model_run(s->model, i)};
        int64_t counts[TASK_STATE_N];
        enum run_state state = model_run_state(s->model, req.id, counts);
        struct run_view view = {0};

        if (run_get(&c->tx, &req, &view))
            world_fail(s, "runs", "run %" PRId64 " cannot be read: %s", req.id, fault_take());
        else if (view.run.state != state)
            world_fail(s, "runs", "run %" PRId64 " is %s in the store, and should be %s", req.id,
                       run_state_text(view.run.state).p, run_state_text(state).p);
        for (size_t j = 0; j < TASK_STATE_N; j++)
            if (view.run.counts[j] != counts[j])
                world_fail(
                    s, "runs", "run %" PRId64 " counts %" PRId64 " tasks as %s, and has %" PRId64,
                    req.id, view.run.counts[j], task_state_text((enum task_state)j).p, counts[j]);
    }
}

static bool look(struct sim *s, struct check *c)
{
    arena_reset(&c->arena);
    if (tx_begin(&c->tx) == 0)
        return true;
    world_fail(s, "store", "the store cannot be looked at: %s", fault_take());
    return false;
}

void check_round(struct sim *s, struct check *c, const struct grant_round *req,
                 const struct grant_leases *found)
{
    if (s->result->check || !look(s, c))
        return;
    check_withheld(s, &c->tx, req, found);
    tx_rollback(&c->tx);
}

void check_store(struct sim *s, struct check *c, bool all)
{
    if (!look(s, c))
        return;
    check_doctor(s, c);
    for (uint64_t i = 0; i < (uint64_t)s->o.profile.queues; i++)
        check_counts(s, c, str_of(sim_client_queue(s, i)));
    check_runs(s, c);
    check_plans(s, &c->tx, all);
    check_tasks(s, &c->tx, all);
    tx_rollback(&c->tx);
}

struct check *check_new(struct sim *s)
{
    struct check *c = memory_new(sizeof(*c));
    const struct store_options o = {.url = s->store, .mode = STORE_WRITE};

    if (store_open(&o, &c->tx.store))
        world_fail(s, "store", "the store cannot be opened: " STR_FMT,
                   STR_ARG(store_error(c->tx.store)));
    c->tx.arena = &c->arena;
    c->tx.prng = &c->prng;
    prng_seed(&c->prng, 1);
    return c;
}

struct check *check_free(struct check *c)
{
    if (c) {
        store_free(c->tx.store);
        arena_deinit(&c->arena);
        memory_freep(&c);
    }
    return NULL;
}
