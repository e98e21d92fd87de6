/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant_testing.h"

#include "base/test.h"
#include "engine/plan.h"

/* The stage that has such a demand; a text that is none gets into the store by hand, afterwards. */
static struct plan_stage stage_of(struct world *w, const struct grants_plan *p)
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

int64_t grants_plan(struct world *w, const struct grants_plan *p)
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

int64_t grants_runner(struct world *w, const struct grants_runner *r)
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

struct grant_leases grants_round(struct world *w, const struct grant_round *req)
{
    struct grant_leases reply;

    DO(w, grant_round(&w->tx, req, &reply));
    return reply;
}

struct grant_lease grants_one(struct world *w)
{
    struct grant_leases l = ROUND(w);

    assert_int_equal(l.n, 1);
    return l.list[0];
}

enum code grants_complete(struct world *w, struct lease_ref l, enum outcome o)
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

enum code grants_accept(struct world *w, struct lease_ref l)
{
    struct task_codes codes;

    DO(w, grant_accept(&w->tx, &(struct grant_refs){&l, 1}, &codes));
    return codes.list[0];
}

enum code grants_refuse(struct world *w, struct lease_ref l)
{
    const struct grant_refusal refusal = {l, TASK_REASON_REFUSED, STR("no room")};
    struct task_codes codes;

    DO(w, grant_refuse(&w->tx, &(struct grant_refuse){&refusal, 1}, &codes));
    return codes.list[0];
}

struct grant_kept grants_keep(struct world *w, struct lease_ref l)
{
    struct grant_keeps keeps;

    DO(w, grant_keep(&w->tx, &(struct grant_refs){&l, 1}, &keeps));
    return keeps.list[0];
}

struct grant_why grants_why(struct world *w, int64_t task)
{
    struct grant_why reply;

    DO(w, grant_why(&w->tx, &(struct grant_which){.task = task}, &reply));
    return reply;
}

int64_t grants_busy(struct world *w, int64_t incarnation)
{
    struct worker_view v;

    DO(w, worker_get(&w->tx, &incarnation, &v));
    return v.worker.busy;
}

struct task_attempt grants_last(struct world *w, int64_t run, const char *name)
{
    struct task_details d = world_task(w, run, name);

    assert_true(d.task.attempts_n > 0);
    return d.task.attempts[d.task.attempts_n - 1];
}
