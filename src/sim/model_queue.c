/* SPDX-License-Identifier: Apache-2.0 */
/* The model's queues: their settings, what is added, and what operators do. */
#include <assert.h>
#include <inttypes.h>

#include "engine/queue.h"
#include "sim/model_rows.h"

static struct m_queue *queue_need(struct model *m, struct str name)
{
    struct m_queue *q = model_queue_of(m, name);

    if (q)
        return q;
    assert(m->queues_n < SIM_QUEUES_MAX);
    q = &m->queues[m->queues_n++];
    *q = (struct m_queue){.name = str_copy(&m->memory, name), .claim_ttl_us = QUEUE_CLAIM_TTL_US};
    return q;
}

static void put_queue(struct model *m, const struct model_op *op)
{
    const struct queue_put *put = op->request;
    struct m_queue *q, was;

    if (!model_code(m, op, CODE_OK))
        return;
    q = queue_need(m, put->name);
    was = *q;
    if (put->given & 1u << QUEUE_SET_CONCURRENCY_MAX)
        q->concurrency = put->set.concurrency_max;
    if (put->given & 1u << QUEUE_SET_KEY_CONCURRENCY)
        q->key_concurrency = put->set.key_concurrency;
    if (put->given & 1u << QUEUE_SET_FAIR)
        q->fair = put->set.fair;
    if (put->given & 1u << QUEUE_SET_CLAIM_TTL)
        q->claim_ttl_us = put->set.claim_ttl_us;
    if (put->given & 1u << QUEUE_SET_RATE)
        model_rate_set(q, put->set.rate_milli, put->set.rate_burst);
    if (was.key_concurrency != q->key_concurrency && m->tasks_n)
        q->key_since = m->tasks[m->tasks_n - 1]->id;
    if (was.key_concurrency != q->key_concurrency || was.fair != q->fair)
        model_lane_judge(m, q);
}

static void pause(struct model *m, const struct model_op *op, bool paused)
{
    struct m_queue *q = model_queue_of(m, *(const struct str *)op->request);

    if (model_code(m, op, q ? CODE_OK : CODE_QUEUE_NOT_FOUND) && q)
        q->paused = paused;
}

static const struct m_task *unique_of(const struct model *m, const struct m_queue *q,
                                      struct str unique)
{
    MODEL_EACH_TASK(m, t)
    if (t->queue == q && !t->freed && !model_over(t) && str_eq(t->unique, unique))
        return t;
    return NULL;
}

static void add_task(struct model *m, struct m_queue *q, const struct task_new *n, int64_t id)
{
    struct m_task *t = ARENA_NEW(&m->memory, struct m_task);
    int64_t due = n->delay_us ? m->now + n->delay_us : 0;

    if (m->tasks_n && id <= m->tasks[m->tasks_n - 1]->id) {
        model_fail(m, "ids", "task %" PRId64 " came after task %" PRId64, id,
                   m->tasks[m->tasks_n - 1]->id);
        return;
    }
    model_check_time(m);
    *t = (struct m_task){
        .id = id,
        .queue = q,
        .state = due > m->now ? TASK_DELAYED : TASK_READY,
        .priority = n->priority,
        .max_attempts = n->retry->max_attempts,
        .backoff_us = n->retry->base_us,
        .cap_us = n->retry->cap_us,
        .due_at = due,
        .timeout_us = n->timeout_us,
        .key = str_copy(&m->memory, n->key),
        .unique = str_copy(&m->memory, n->unique_key),
        .payload = str_copy(&m->memory, n->payload),
    };
    ARENA_ROOM(&m->memory, m->tasks, m->tasks_n, m->tasks_cap, 64);
    m->tasks[m->tasks_n++] = t;
    model_lane_moved(m, t);
    m->sim->result->coverage.tasks[TASK_BLOCKED][TASK_MET][t->state]++;
    world_say(m->sim, "    task %" PRId64 " %s", id, task_state_text(t->state).p);
}

static void check_duplicate(struct model *m, const struct m_queue *q, const struct task_new *n,
                            int64_t id)
{
    const struct m_task *t = model_task_of(m, id);

    if (!n->unique_key.n || !t || t->queue != q || !str_eq(t->unique, n->unique_key) ||
        model_over(t))
        model_fail(m, "unique", "task %" PRId64 " is said to have the unique key " STR_FMT, id,
                   STR_ARG(n->unique_key));
}

static void enqueue(struct model *m, const struct model_op *op)
{
    const struct task_enqueue *req = op->request;
    const struct task_ids *ids = op->reply;
    struct m_queue *q;

    if (!model_code(m, op, CODE_OK))
        return;
    q = queue_need(m, req->queue);
    if (ids->n != req->n)
        model_fail(m, "answer", "%zu tasks were enqueued, and %zu ids came", req->n, ids->n);
    for (size_t i = 0; i < ids->n && !m->sim->result->check; i++) {
        const struct task_new *n = &req->list[i];
        const struct m_task *same = n->unique_key.n ? unique_of(m, q, n->unique_key) : NULL;

        if (ids->duplicates && ids->duplicates[i])
            check_duplicate(m, q, n, ids->list[i]);
        else if (same)
            model_fail(m, "unique",
                       "task %" PRId64 " was added beside task %" PRId64
                       " with the same unique key",
                       ids->list[i], same->id);
        else
            add_task(m, q, n, ids->list[i]);
    }
}

/* What operators do. */

static void requeue(struct model *m, const struct model_op *op)
{
    const struct queue_requeue *req = op->request;
    const struct queue_requeued *reply = op->reply;
    struct m_queue *q = model_queue_of(m, req->queue);
    int64_t n = 0;

    if (!model_code(m, op, q ? CODE_OK : CODE_QUEUE_NOT_FOUND) || !q)
        return;
    for (size_t i = m->open_from; i < m->tasks_n; i++) {
        struct m_task *t = m->tasks[i];

        if (t->queue != q || t->state != TASK_FAILED)
            continue;
        t->budget_from = t->attempts;
        t->due_at = 0;
        model_move(m, t, TASK_REQUEUE, TASK_READY);
        n++;
    }
    if (reply->requeued != n)
        model_fail(m, "requeue", "%" PRId64 " tasks were given back, and there were %" PRId64,
                   reply->requeued, n);
}

static void cancel(struct model *m, const struct model_op *op)
{
    const struct task_which *req = op->request;
    struct m_task *t = model_task_of(m, req->id);
    enum code expected = !t || model_over(t)       ? CODE_TASK_NOT_FOUND
                         : t->state == TASK_FAILED ? CODE_TASK_STATE
                                                   : CODE_OK;

    if (!model_code(m, op, expected) || expected != CODE_OK)
        return;
    if (model_held(t)) {
        m->sim->result->coverage.tasks[TASK_RUNNING][TASK_CANCEL][TASK_RUNNING]++;
        t->cancel = true;
    } else {
        model_move(m, t, TASK_CANCEL, TASK_CANCELLED);
    }
}

void model_queue_op(struct model *m, const struct model_op *op)
{
    if (op->kind == ASK_PUT_QUEUE)
        put_queue(m, op);
    else if (op->kind == ASK_ENQUEUE)
        enqueue(m, op);
    else if (op->kind == ASK_PAUSE || op->kind == ASK_RESUME)
        pause(m, op, op->kind == ASK_PAUSE);
    else if (op->kind == ASK_REQUEUE)
        requeue(m, op);
    else if (op->kind == ASK_CANCEL)
        cancel(m, op);
}
