/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and stages as the store shows them: who holds what, how every attempt came out, and that
 * each result is of an attempt that ended with it. */
#include "sim/check_plans.h"

#include <inttypes.h>

#include "base/fault.h"
#include "engine/plan.h"
#include "engine/run.h"
#include "sim/model_rows.h"

static void differs(struct sim *s, const struct task_view *v, const char *what)
{
    world_fail(s, "rows",
               "\"" STR_FMT "\" of run %" PRId64 ", task %" PRId64 ", is " STR_FMT ": %s",
               STR_ARG(v->name), v->run, v->id, STR_ARG(task_state_text(v->state)), what);
}

/* Who was told to stop says that it was cancelled. Where nobody wanted the stage to end, the
 * attempt was not accepted, was lost, or ran out of time, and the stage is tried again. */
static bool stopped_unasked(const struct m_grant *g, enum outcome has)
{
    return g->state == GRANT_TOLD && g->outcome == OUTCOME_CANCELLED &&
           (has == OUTCOME_REJECTED || has == OUTCOME_LOST || has == OUTCOME_TIMED_OUT);
}

static void check_attempt(struct sim *s, const struct task_view *v, const struct m_task *t,
                          const struct task_attempt *a)
{
    const struct m_grant *g = model_grant_of(s->model, a->token);

    if (!g || g->task != v->id)
        differs(s, v, "an attempt of it was never given");
    else if (a->running != (g->state == GRANT_LIVE))
        differs(s, v, a->running ? "an attempt goes on that has ended" : "an attempt has ended");
    else if (a->running && (t->token != a->token || t->worker != a->worker))
        differs(s, v, "it is held by somebody else");
    else if (!a->running && a->outcome != g->outcome && !stopped_unasked(g, a->outcome))
        differs(s, v, "an attempt came out otherwise");
}

static void check_stage(struct sim *s, const struct task_view *v)
{
    const struct m_task *t = model_push_of(s->model, v->id);
    size_t succeeded = 0;

    for (size_t i = 0; i < v->attempts_n; i++) {
        check_attempt(s, v, t, &v->attempts[i]);
        succeeded += !v->attempts[i].running && v->attempts[i].outcome == OUTCOME_SUCCEEDED;
    }
    if (task_held(v->state) != (t && t->token))
        differs(s, v, t && t->token ? "a lease of it is live" : "no lease of it is live");
    else if (t && t->token && t->state != v->state)
        differs(s, v, "its lease is not as far");
    if (succeeded != (v->state == TASK_SUCCEEDED || v->state == TASK_AWAITING) &&
        (v->state != TASK_CANCELLED || succeeded > 1)) /* it may have been AWAITING */
        differs(s, v, "so many attempts of it did not succeed");
}

/* Who ended an attempt has told a check once; what is final is said once. */
static void check_check(struct sim *s, const struct task_view *v)
{
    const struct plan_view *p = v->plan;
    int64_t final = 0;

    for (int64_t i = 0; i < p->results_n; i++) {
        const struct check_result *r = &p->results[i];
        const struct m_grant *g = r->token ? model_grant_of(s->model, r->token) : NULL;

        if (r->token && (!g || g->state != GRANT_TOLD))
            differs(s, v, "it has the result of an attempt that did not end with it");
        for (int64_t j = 0; r->token && j < i; j++)
            if (p->results[j].token == r->token)
                differs(s, v, "it has the result of an attempt twice");
        final += r->final;
    }
    if (final > 1)
        differs(s, v, "it has several final results");
    if (v->state == TASK_SUCCEEDED && p->results_n == 0)
        differs(s, v, "it has no result");
}

static void check_tasks_of(struct sim *s, struct tx *tx, int64_t run, bool over)
{
    struct plan_query req = {.run = run, .max = PLAN_PAGE_MAX};
    struct plan_page page;

    do {
        if (plan_query(tx, &req, &page)) {
            world_fail(s, "rows", "run %" PRId64 " cannot be queried: %s", run, fault_take());
            return;
        }
        for (size_t i = 0; i < page.n; i++) {
            const struct task_view *v = &page.list[i].task;

            if (v->plan->check)
                check_check(s, v);
            else
                check_stage(s, v);
            if (over && !task_final(v->state))
                differs(s, v, "its run has ended");
        }
        req.after = page.next;
    } while (page.next);
}

/* The whole beside the model of it. */
static void check_graph(struct sim *s, struct tx *tx, size_t number, int64_t id)
{
    const struct plan_query query = {.run = id, .max = PLAN_PAGE_MAX};
    struct plan_page page;
    struct run_row run;
    char room[SIM_FAILURE_BYTES];
    struct buf text;

    if (plan_query(tx, &query, &page) || run_read(tx, id, &run)) {
        world_fail(s, "graph", "run %" PRId64 " cannot be read: %s", id, fault_take());
        return;
    }
    buf_fixed(&text, room, sizeof(room));
    model_plan_look(model_plan_of(s->model, number), tx->arena, page.list, page.n, &run, &text);
    if (text.n)
        world_fail(s, "graph", "run %" PRId64 ": " STR_FMT, id, STR_ARG(buf_str(&text)));
}

void check_plans(struct sim *s, struct tx *tx, bool all)
{
    for (size_t i = 0; i < model_plans(s->model) && !s->result->check; i++) {
        struct run_get req = {0};
        struct run_view view = {0};

        if (!model_plan_waits(s->model, i, &req.id) && !all)
            continue;
        if (run_get(tx, &req, &view)) {
            world_fail(s, "runs", "run %" PRId64 " cannot be read: %s", req.id, fault_take());
            return;
        }
        check_tasks_of(s, tx, req.id, run_final(view.run.state));
        check_graph(s, tx, i, req.id);
        if (run_final(view.run.state))
            model_plan_ended(s->model, i);
    }
}

/* ---- what waits ---- */

static bool refused_before(const struct task_view *v)
{
    for (size_t i = 0; i < v->attempts_n; i++)
        if (v->attempts[i].outcome == OUTCOME_REJECTED)
            return true;
    return false;
}

/* A runner that could have had it. */
static const struct m_worker *free_runner(const struct model *m, const struct plan_view *p,
                                          const struct grant_round *req)
{
    unsigned mode = p->async ? PLACEMENT_ASYNC : PLACEMENT_SYNC;

    for (size_t i = 0; i < m->workers_n; i++) {
        const struct m_worker *w = &m->workers[i];
        bool fits = w->state == WORKER_READY && m->now - w->beat_at < w->ttl_us &&
                    str_eq(w->type, p->type) && w->modes & mode &&
                    (str_eq(p->labels, STR("{}")) || w->labelled) &&
                    (!w->slots || model_push_load(m, w->incarnation) < w->slots);

        for (size_t j = 0; j < req->excluded_n; j++)
            fits &= req->excluded[j] != w->incarnation;
        if (fits)
            return w;
    }
    return NULL;
}

static void check_waiting(struct sim *s, struct tx *tx, int64_t run, const struct grant_round *req)
{
    const struct str ready = STR("READY");
    const struct plan_query query = {
        .run = run, .only_stages = true, .states = &ready, .states_n = 1, .max = PLAN_PAGE_MAX};
    struct plan_page page;

    if (plan_query(tx, &query, &page)) {
        world_fail(s, "rows", "run %" PRId64 " cannot be queried: %s", run, fault_take());
        return;
    }
    for (size_t i = 0; i < page.n; i++) {
        const struct task_view *v = &page.list[i].task;
        const struct m_worker *w = free_runner(s->model, v->plan, req);

        if (w && v->plan->type.n && !refused_before(v))
            world_fail(s, "withheld",
                       "stage \"" STR_FMT "\" of run %" PRId64
                       " is READY and was not given, while \"" STR_FMT "\" has room",
                       STR_ARG(v->name), run, STR_ARG(w->name));
    }
}

void check_withheld(struct sim *s, struct tx *tx, const struct grant_round *req,
                    const struct grant_leases *found)
{
    int64_t run;

    if (found->more || found->next_at || (int64_t)found->n == req->max)
        return;
    for (size_t i = 0; i < model_plans(s->model) && !s->result->check; i++)
        if (model_plan_waits(s->model, i, &run))
            check_waiting(s, tx, run, req);
}
