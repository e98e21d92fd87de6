/* SPDX-License-Identifier: Apache-2.0 */
/* The model's leases of stages that runners are called for, from the grant to the end. What the
 * graph of the plan does with them is the business of model_graph.c. */
#include <inttypes.h>

#include "core/placement.h"
#include "engine/run.h"
#include "sim/model_rows.h"

struct m_task *model_push_of(const struct model *m, int64_t task)
{
    for (size_t i = m->pushed_n; i-- > 0;)
        if (m->pushed[i]->id == task)
            return m->pushed[i];
    return NULL;
}

int64_t model_push_load(const struct model *m, int64_t incarnation)
{
    int64_t n = 0;

    for (size_t i = 0; i < m->pushed_n; i++)
        n += m->pushed[i]->token && m->pushed[i]->worker == incarnation;
    return n;
}

/* The stage whose live lease this is; NULL: none. */
static struct m_task *live(const struct model *m, struct lease_ref l)
{
    struct m_task *t = model_push_of(m, l.task);

    return t && l.token && t->token == l.token ? t : NULL;
}

static struct m_task *known(struct model *m, const struct grant_lease *l)
{
    struct m_task *t = model_push_of(m, l->lease.task);

    if (t)
        return t;
    t = ARENA_NEW(&m->memory, struct m_task);
    t->push = ARENA_NEW(&m->memory, struct m_push);
    t->push->run = l->run;
    t->id = l->lease.task;
    t->state = TASK_BLOCKED;
    t->node = true;
    ARENA_ROOM(&m->memory, m->pushed, m->pushed_n, m->pushed_cap, 64);
    m->pushed[m->pushed_n++] = t;
    return t;
}

/* ---- rounds ---- */

static void check_placed(struct model *m, const struct grant_round *req,
                         const struct grant_lease *l)
{
    const struct m_worker *w = model_worker_of(m, l->worker);
    bool fits = w && w->state == WORKER_READY && str_eq(w->type, l->type) &&
                w->modes & (unsigned)l->mode && m->now - w->beat_at < w->ttl_us;

    for (size_t i = 0; i < req->excluded_n; i++)
        fits &= req->excluded[i] != l->worker;
    if (!fits)
        model_fail(m, "placement",
                   "stage \"" STR_FMT "\" of run %" PRId64 " went to \"" STR_FMT
                   "\", which does not serve it",
                   STR_ARG(l->name), l->run, STR_ARG(l->runner));
}

static void grant(struct model *m, const struct grant_round *req, const struct grant_lease *l)
{
    struct m_task *t = known(m, l);
    bool async = l->mode == PLACEMENT_ASYNC;

    if (t->token) {
        model_fail(m, "lease_single",
                   "stage \"" STR_FMT "\" of run %" PRId64 " was given under token %" PRId64
                   " while token %" PRId64 " is live",
                   STR_ARG(l->name), l->run, l->lease.token, t->token);
        return;
    }
    if (m->grants_n && l->lease.token <= m->grants[m->grants_n - 1].token) {
        model_fail(m, "token_order", "task %" PRId64 " got token %" PRId64 " after %" PRId64, t->id,
                   l->lease.token, m->grants[m->grants_n - 1].token);
        return;
    }
    check_placed(m, req, l);
    model_graph_grant(m, l);
    ARENA_ROOM(&m->memory, m->grants, m->grants_n, m->grants_cap, 128);
    m->grants[m->grants_n++] =
        (struct m_grant){.token = l->lease.token, .task = t->id, .pushed_to = l->worker};
    if (l->attempt != t->attempts + 1)
        model_fail(m, "attempts",
                   "task %" PRId64 " was given as attempt %" PRId64
                   ", and it is its attempt %" PRId64,
                   t->id, l->attempt, t->attempts + 1);
    t->attempts += !async;
    t->state = async ? TASK_LEASED : TASK_RUNNING;
    t->token = l->lease.token;
    t->worker = l->worker;
    t->deadline_at = l->deadline_at;
    t->expires_at = async ? l->accept_by : m->now + GRANT_KEEP_US;
    t->push->async = async;
    t->push->expired = false;
    t->push->progress_us = l->progress_us;
    world_say(m->sim, "    task %" PRId64 " \"" STR_FMT "\" of run %" PRId64 " -> " STR_FMT, t->id,
              STR_ARG(l->name), l->run, STR_ARG(l->runner));
}

static void give(struct model *m, const struct model_op *op)
{
    const struct grant_round *req = op->request;
    const struct grant_leases *found = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    if (found->n)
        model_check_time(m);
    for (size_t i = 0; i < found->n && !m->sim->result->check; i++)
        grant(m, req, &found->list[i]);
    for (size_t i = 0; i < found->n && !m->sim->result->check; i++) {
        const struct m_worker *w = model_worker_of(m, found->list[i].worker);
        int64_t load = model_push_load(m, w->incarnation);

        if (w->slots && load > w->slots)
            model_fail(m, "slots",
                       "worker %" PRId64 " has %" PRId64 " leases and %" PRId64 " slots",
                       w->incarnation, load, w->slots);
    }
}

void model_called(struct model *m, const Weft__V1__RunStageRequest *call, const char *runner)
{
    int64_t token = 0, worker = 0;
    struct str text = str_of(call->token);
    struct m_grant *g;
    size_t dot;

    if (str_find(text, '.', &dot))
        str_int64(str_sub(text, dot + 1, text.n), &token);
    str_int64(str_of(call->worker), &worker);
    g = model_grant_of(m, token);
    if (!g || g->pushed_to != worker || !str_eq(str_of(call->runner), str_of(runner)))
        model_fail(m, "called", "%s was called for token %" PRId64 ", which it was not given",
                   runner, token);
    else if (g->called)
        model_fail(m, "called", "%s was called for token %" PRId64 " twice", runner, token);
    else
        g->called = true;
}

/* ---- answers ---- */

static bool check_code(struct model *m, const char *what, struct lease_ref l, enum code told,
                       const struct m_task *t)
{
    if (told == (t ? CODE_OK : CODE_LEASE_LOST))
        return t;
    model_fail(m, "fence", "token %" PRId64 " of task %" PRId64 " was %s, and it is%s live",
               l.token, l.task, what, t ? "" : " not");
    return false;
}

static int64_t progress_by(const struct model *m, const struct m_task *t)
{
    return t->push->progress_us ? m->now + 2 * t->push->progress_us : 0;
}

static void start(const struct model *m, struct m_task *t)
{
    t->state = TASK_RUNNING;
    t->attempts++;
    t->expires_at = progress_by(m, t);
}

static void accept(struct model *m, const struct model_op *op)
{
    const struct grant_refs *req = op->request;
    const struct task_codes *codes = op->reply;

    for (size_t i = 0; model_code(m, op, CODE_OK) && i < req->n; i++) {
        struct m_task *t = live(m, req->list[i]);

        if (!check_code(m, "accepted", req->list[i], codes->list[i], t) || t->state == TASK_RUNNING)
            continue;
        start(m, t);
        model_graph_start(m, t->id);
    }
}

void model_push_wrote(struct model *m, struct lease_ref writer)
{
    struct m_task *t = live(m, writer);

    if (writer.token && !t)
        model_fail(m, "fence", "token %" PRId64 " of task %" PRId64 " wrote, and it is not live",
                   writer.token, writer.task);
    else if (t && t->state == TASK_LEASED)
        start(m, t);
}

static void refuse(struct model *m, const struct model_op *op)
{
    const struct grant_refuse *req = op->request;
    const struct task_codes *codes = op->reply;

    for (size_t i = 0; model_code(m, op, CODE_OK) && i < req->n; i++) {
        struct m_task *t = live(m, req->list[i].lease);

        if (check_code(m, "refused", req->list[i].lease, codes->list[i], t))
            model_end(m, t, OUTCOME_REJECTED, false, 0);
    }
}

static void keep(struct model *m, const struct model_op *op)
{
    const struct grant_refs *req = op->request;
    const struct grant_keeps *kept = op->reply;

    for (size_t i = 0; model_code(m, op, CODE_OK) && i < req->n; i++) {
        struct m_task *t = live(m, req->list[i]);

        if (check_code(m, "kept", req->list[i], kept->list[i].code, t))
            t->expires_at = m->now + GRANT_KEEP_US;
    }
}

void model_push_op(struct model *m, const struct model_op *op)
{
    if (op->kind == MODEL_PUSH_ROUND)
        give(m, op);
    else if (op->kind == MODEL_PUSH_ACCEPT)
        accept(m, op);
    else if (op->kind == MODEL_PUSH_REFUSE)
        refuse(m, op);
    else if (op->kind == MODEL_PUSH_KEEP)
        keep(m, op);
}

void model_push_renewed(struct model *m, struct m_task *t, const struct lease_renewed *told)
{
    const struct m_worker *w = model_worker_of(m, t->worker);
    int64_t beat = w->beat_at + w->ttl_us, until = progress_by(m, t), end;

    if (t->state == TASK_RUNNING && until > t->expires_at)
        t->expires_at = until;
    end = t->expires_at && t->expires_at < beat ? t->expires_at : beat;
    if (told->expires_at != end)
        model_fail(m, "told",
                   "of task %" PRId64 " %" PRId64
                   " was told as the end of its lease, which is %" PRId64,
                   t->id, told->expires_at, end);
    if (t->cancel && !told->stop)
        model_fail(m, "cancel", "task %" PRId64 " is to be stopped", t->id);
}

bool model_push_stops(const struct model *m, int64_t incarnation, const struct lease_ref *list,
                      size_t n)
{
    size_t known_n = 0, told = 0;

    for (size_t i = 0; i < m->pushed_n; i++)
        known_n +=
            m->pushed[i]->token && m->pushed[i]->worker == incarnation && m->pushed[i]->cancel;
    for (size_t i = 0; i < n; i++) {
        const struct m_task *t = live(m, list[i]);

        if (!t || t->worker != incarnation)
            return false;
        told += t->cancel;
    }
    return told == known_n;
}

/* ---- ends ---- */

void model_push_lose(struct model *m, int64_t incarnation)
{
    for (size_t i = 0; i < m->pushed_n; i++)
        if (m->pushed[i]->token && m->pushed[i]->worker == incarnation)
            model_end(m, m->pushed[i], OUTCOME_LOST, false, 0);
}

int64_t model_push_late(struct model *m)
{
    int64_t n = 0;

    for (size_t i = 0; i < m->pushed_n; i++) {
        struct m_task *t = m->pushed[i];

        if (t->state != TASK_RUNNING || !t->deadline_at || t->deadline_at > m->now)
            continue;
        model_check_late(m, "the attempt of stage", t->id, t->deadline_at);
        model_end(m, t, OUTCOME_TIMED_OUT, false, 0);
        n++;
    }
    return n;
}

/* One that its runner has not accepted goes to another, as if it was refused. */
int64_t model_push_expired(struct model *m)
{
    int64_t n = 0;

    for (size_t i = 0; i < m->pushed_n; i++) {
        struct m_task *t = m->pushed[i];

        if (!t->token || !t->expires_at || t->expires_at > m->now)
            continue;
        model_check_late(m, "the lease of stage", t->id, t->expires_at);
        t->push->expired = true;
        model_end(m, t, t->state == TASK_LEASED ? OUTCOME_REJECTED : OUTCOME_LOST, false, 0);
        n++;
    }
    return n;
}
