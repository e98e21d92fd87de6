/* SPDX-License-Identifier: Apache-2.0 */
/* The graphs of plans in the model: what becomes of checks and stages by what is committed
 * (model_plan.h). */
#include <inttypes.h>

#include "engine/run.h"
#include "sim/model_rows.h"

static struct m_open *open_of(const struct model *m, int64_t run)
{
    for (size_t i = 0; i < m->opens_n; i++)
        if (m->opens[i].run == run)
            return &m->opens[i];
    return NULL;
}

static struct model_plan_node *node_of(const struct model *m, int64_t task,
                                       struct m_open **ret_plan)
{
    for (size_t i = 0; i < m->opens_n; i++) {
        struct model_plan_node *n = model_plan_by_id(m->opens[i].plan, task);

        *ret_plan = &m->opens[i];
        if (n)
            return n;
    }
    return NULL;
}

/* ---- leases ---- */

void model_graph_grant(struct model *m, const struct grant_lease *l)
{
    struct m_open *o;
    struct model_plan_node *n = node_of(m, l->lease.task, &o);

    if (!n || !model_plan_lease(n, m->now, l->lease.token, l->worker))
        model_fail(m, "graph", "stage \"" STR_FMT "\" of run %" PRId64 " was given, and is %s",
                   STR_ARG(l->name), l->run, n ? task_state_text(n->state).p : "not there");
    else if (!n->async)
        model_plan_start(n);
}

void model_graph_start(struct model *m, int64_t task)
{
    struct m_open *o;
    struct model_plan_node *n = node_of(m, task, &o);

    if (n)
        model_plan_start(n);
}

void model_graph_told(struct model *m, const struct task_result *t, enum code code)
{
    struct m_open *o;
    enum code expected;

    if (!node_of(m, t->lease.task, &o))
        return;
    expected = model_plan_complete(o->plan, m->now, t);
    o->moved = true;
    if (code != expected)
        model_fail(m, "graph",
                   "the end of stage %" PRId64 " was answered " STR_FMT
                   ", and should have been " STR_FMT,
                   t->lease.task, STR_ARG(code_text(code)), STR_ARG(code_text(expected)));
}

void model_graph_ended(struct model *m, const struct m_task *t, enum outcome o)
{
    bool silent = t->push->expired && t->push->async;
    struct m_open *of;
    struct model_plan_node *n = node_of(m, t->id, &of);

    if (!n)
        return;
    of->moved = true;
    if (o == OUTCOME_REJECTED)
        model_plan_refuse(of->plan, n, -1);
    else
        model_plan_end(of->plan, m->now, n, o, silent ? TASK_REASON_NO_PROGRESS : TASK_REASON_NONE);
}

void model_graph_due(struct model *m)
{
    for (size_t i = 0; i < m->opens_n; i++)
        for (size_t j = 0; j < m->opens[i].plan->nodes_n; j++) {
            struct model_plan_node *n = &m->opens[i].plan->nodes[j];

            if (n->state == TASK_DELAYED && n->due_at <= m->now)
                model_plan_due(n);
        }
}

void model_graph_settle(struct model *m)
{
    for (size_t i = 0; i < m->opens_n; i++)
        if (m->opens[i].moved) {
            m->opens[i].moved = false;
            model_plan_settle(m->opens[i].plan);
        }
}

/* ---- requests ---- */

static void create(struct model *m, const struct run_row *run)
{
    struct m_open *o;

    if (open_of(m, run->id))
        return;
    ARENA_ROOM(&m->memory, m->opens, m->opens_n, m->opens_cap, 16);
    o = &m->opens[m->opens_n++];
    *o = (struct m_open){.run = run->id, .plan = model_plan_new(&m->memory, run->id)};
    o->plan->blind = true;
}

static void check_refusal(struct model *m, const struct model_op *op, int64_t run,
                          const struct model_plan_refusal *refusal)
{
    bool fine = op->code != CODE_OK ? refusal->may[op->code] : !refusal->any;

    for (int c = 0; !fine && c < CODE_N; c++)
        if (refusal->may[c])
            model_fail(m, "graph",
                       "a write to run %" PRId64 " was answered " STR_FMT
                       ", and should have been " STR_FMT,
                       run, STR_ARG(code_text(op->code)), STR_ARG(code_text((enum code)c)));
    if (!fine && !refusal->any)
        model_fail(m, "graph", "a write to run %" PRId64 " was refused: " STR_FMT, run,
                   STR_ARG(code_text(op->code)));
}

static void take_over(struct model *m, const struct m_open *o, const struct task_view *list,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct model_plan_node *node = model_plan_node(o->plan, list[i].name);

        if (!node || (node->state != list[i].state && !node->put_off)) {
            model_fail(m, "graph",
                       "\"" STR_FMT "\" of run %" PRId64 " is %s by the reply, and should be %s",
                       STR_ARG(list[i].name), o->run, task_state_text(list[i].state).p,
                       node ? task_state_text(node->state).p : "not there");
            return;
        }
        if (node->version != list[i].version)
            node->shown = STR("");
        node->id = list[i].id;
        node->version = list[i].version;
    }
}

static void write_plan(struct model *m, const struct model_op *op)
{
    const struct plan_write *req = op->request;
    const struct plan_written *reply = op->reply;
    struct m_open *o = open_of(m, req->run);
    struct model_plan_refusal refusal;

    if (!o) {
        model_code(m, op, CODE_RUN_NOT_FOUND);
        return;
    }
    model_plan_write(o->plan, req, op->code, &refusal);
    check_refusal(m, op, o->run, &refusal);
    if (op->code != CODE_OK || m->sim->result->check)
        return;
    model_push_wrote(m, req->writer);
    take_over(m, o, reply->checks, req->checks_n);
    take_over(m, o, reply->stages, req->stages_n);
}

static void seal(struct model *m, const struct model_op *op)
{
    const struct run_row *run = op->reply;
    struct m_open *o = op->code == CODE_OK ? open_of(m, run->id) : NULL;

    if (!o)
        return;
    o->sealed = true;
    model_plan_seal(o->plan);
    if (run->state != o->plan->state)
        model_fail(m, "graph", "run %" PRId64 " is %s when it is sealed, and should be %s", run->id,
                   run_state_text(run->state).p, run_state_text(o->plan->state).p);
}

void model_graph_op(struct model *m, const struct model_op *op)
{
    if (op->kind == ASK_PLAN_WRITE)
        write_plan(m, op);
    else if (op->kind == ASK_PLAN_SEAL)
        seal(m, op);
    else if (op->code == CODE_OK)
        create(m, op->reply);
}

bool model_push_cancel(struct model *m, const struct model_op *op)
{
    int64_t run = *(const int64_t *)op->request;
    struct m_open *o = open_of(m, run);

    if (!o || !model_code(m, op, model_plan_cancel(o->plan)) || op->code != CODE_OK)
        return o;
    o->sealed = true;
    for (size_t i = 0; i < m->pushed_n; i++)
        if (m->pushed[i]->push->run == run && m->pushed[i]->token)
            m->pushed[i]->cancel = true;
    return true;
}

/* ---- views ---- */

size_t model_plans(const struct model *m)
{
    return m->opens_n;
}

size_t model_plans_open(const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->opens_n; i++)
        n += !m->opens[i].over;
    return n;
}

bool model_plan_waits(const struct model *m, size_t number, int64_t *ret_run)
{
    *ret_run = m->opens[number].run;
    return !m->opens[number].over;
}

void model_plan_ended(struct model *m, size_t number)
{
    m->opens[number].over = true;
}

struct model_plan *model_plan_of(const struct model *m, size_t number)
{
    return m->opens[number].plan;
}
