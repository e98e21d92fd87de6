/* SPDX-License-Identifier: Apache-2.0 */
/* What the model says of claims: which task is next, and how many there may be. */
#include <inttypes.h>

#include "sim/model_rows.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t live_of_queue(const struct model *m, const struct m_queue *q)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += model_held(t) && t->queue == q;
    return n;
}

static int64_t live_of_key(const struct model *m, const struct m_task *of)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += model_held(t) && t->queue == of->queue && str_eq(t->key, of->key) &&
         t->id > t->queue->key_since;
    return n;
}

/* The first one in the queue's order that need not wait for a place. */
static struct m_task *first_ready(const struct model *m, const struct m_queue *q)
{
    struct m_task *first = NULL;

    MODEL_EACH_TASK(m, t)
    if (t->queue == q && t->state == TASK_READY && t->gate != LANE_WAITS &&
        (!first || model_lane_before(t, first)))
        first = t;
    return first;
}

/* One lease of a claim. */
static void claim_one(struct model *m, const struct m_queue *q, const struct task_claim *req,
                      const struct task_lease *l)
{
    struct m_task *t = model_task_of(m, l->task), *first = first_ready(m, q);

    if (!t || t->queue != q) {
        model_fail(m, "lease", "task %" PRId64 " was given, which is not in the queue", l->task);
    } else if (model_held(t)) {
        model_fail(m, "lease_single",
                   "task %" PRId64 " was given under token %" PRId64 " while token %" PRId64
                   " lives",
                   t->id, l->token, t->token);
    } else if (t->state != TASK_READY) {
        model_fail(m, "lease", "task %" PRId64 " was given while it is %s", t->id,
                   task_state_text(t->state).p);
    } else if (t->gate == LANE_WAITS || (q->key_concurrency && t->key.n && t->id > q->key_since &&
                                         live_of_key(m, t) >= q->key_concurrency)) {
        model_fail(m, "key", "task %" PRId64 " was given while its key has no place", t->id);
    } else if (t != first) {
        model_fail(m, "fifo", "task %" PRId64 " was given before task %" PRId64, t->id, first->id);
    } else {
        model_grant(m, t, req->worker, l);
        if (!req->worker)
            t->expires_at = m->now + (req->ttl_us ? req->ttl_us : q->claim_ttl_us);
        model_told_lease(m, t, l);
    }
}

/* How many may be given at most. */
static int64_t room_of(struct model *m, const struct m_queue *q, const struct task_claim *req)
{
    const struct m_worker *w = req->worker ? model_worker_of(m, req->worker) : NULL;
    int64_t room = req->max;

    if (w)
        room = w->state == WORKER_READY ? least(room, w->slots - model_busy(m, req->worker)) : 0;
    if (q->concurrency)
        room = least(room, q->concurrency - live_of_queue(m, q));
    return q->paused || room < 0 ? 0 : room;
}

static enum code claim_code(struct model *m, const struct m_queue *q, const struct task_claim *req)
{
    const struct m_worker *w = req->worker ? model_worker_of(m, req->worker) : NULL;

    if (!q)
        return CODE_QUEUE_NOT_FOUND;
    if (req->worker && !w)
        return CODE_WORKER_NOT_FOUND;
    return w && worker_over(w->state) ? CODE_WORKER_LOST : CODE_OK;
}

/* That none was withheld that could be given. */
static void check_number(struct model *m, struct m_queue *q, const struct task_claim *req, size_t n,
                         int64_t least_claims, int64_t room)
{
    const struct m_task *first = first_ready(m, q);

    if (first && (int64_t)n < least(room, least_claims))
        model_fail(m, "withheld",
                   "task %" PRId64 " is READY and was not given to who asked for %" PRId64,
                   first->id, req->max);
}

void model_claim(struct model *m, const struct model_op *op)
{
    const struct task_claim *req = op->request;
    const struct task_leases *leases = op->reply;
    struct m_queue *q = model_queue_of(m, req->queue);
    int64_t room, most, at_least;

    if (!model_code(m, op, claim_code(m, q, req)) || op->code != CODE_OK)
        return;
    room = room_of(m, q, req);
    model_rate_look(q, m->now, &most, &at_least);
    if ((int64_t)leases->n > room)
        model_fail(m, "slots",
                   "%zu tasks of " STR_FMT " were given where there is room for %" PRId64,
                   leases->n, STR_ARG(q->name), room);
    else if ((int64_t)leases->n > most)
        model_fail(m, "rate", "%zu tasks of " STR_FMT " were given, and the rate allows %" PRId64,
                   leases->n, STR_ARG(q->name), most);
    for (size_t i = 0; i < leases->n && !m->sim->result->check; i++)
        claim_one(m, q, req, &leases->list[i]);
    if (m->sim->result->check)
        return;
    model_rate_spend(q, (int64_t)leases->n);
    check_number(m, q, req, leases->n, at_least, room);
    if (!leases->n)
        model_told_due(m, q, leases->next_due_at);
}
