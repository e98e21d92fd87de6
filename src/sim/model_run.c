/* SPDX-License-Identifier: Apache-2.0 */
/* The model's runs of the one workflow that is simulated, and the workers within the servers. */
#include <inttypes.h>

#include "engine/run.h"
#include "sim/model_rows.h"

const char model_workflow[] =
    "{\"weft\": 1, \"name\": \"graph\", \"defaults\": {\"retry\": {\"max_attempts\": 2, "
    "\"backoff\": {\"base\": 1, \"jitter\": 0}}, \"timeout\": 20}, "
    "\"tasks\": {"
    "\"a\": {\"run\": [\"true\"]},"
    "\"b\": {\"run\": [\"true\"], \"needs\": \"a\"},"
    "\"c\": {\"run\": [\"true\"], \"needs\": \"a\"},"
    "\"d\": {\"run\": [\"true\"], \"needs\": [\"b\", \"c\"]},"
    "\"e\": {\"run\": [\"true\"], \"needs\": {\"all_done\": [\"b\", \"c\"]}},"
    "\"f\": {\"run\": [\"true\"], \"needs\": {\"one_success\": [\"b\", \"c\"]}},"
    "\"g\": {\"run\": [\"true\"], \"needs\": {\"one_done\": [\"d\", \"e\", \"f\"]}},"
    "\"h\": {\"run\": [\"true\"], \"needs\": {\"at_least\": 2, \"of\": [\"d\", \"e\", \"f\"]}}}}";
#define BACKOFF_US (1 * CLOCK_S)
#define AT_LEAST   2

/* The same, for the model: what each waits for, as bits of the places of others. */
static const struct shape {
    char name;
    enum group_rule rule;
    unsigned needs;
} shapes[MODEL_NODES] = {
    {'a', GROUP_ALL_SUCCESS, 0          },
    {'b', GROUP_ALL_SUCCESS, 1          },
    {'c', GROUP_ALL_SUCCESS, 1          },
    {'d', GROUP_ALL_SUCCESS, 2 | 4      },
    {'e', GROUP_ALL_DONE,    2 | 4      },
    {'f', GROUP_ONE_SUCCESS, 2 | 4      },
    {'g', GROUP_ONE_DONE,    8 | 16 | 32},
    {'h', GROUP_AT_LEAST,    8 | 16 | 32},
};

static struct m_run *run_of(const struct model *m, int64_t id)
{
    for (size_t i = 0; i < m->runs_n; i++)
        if (m->runs[i]->id == id)
            return m->runs[i];
    return NULL;
}

struct m_task *model_node_of(const struct model *m, int64_t task)
{
    for (size_t i = 0; i < m->runs_n; i++)
        for (size_t j = 0; j < MODEL_NODES; j++)
            if (m->runs[i]->nodes[j].id == task)
                return &m->runs[i]->nodes[j];
    return model_push_of(m, task);
}

static bool final(const struct m_task *t)
{
    return task_final(t->state);
}

/* Whether what it waits for lets it go (1), never will (-1), or not yet (0). */
static int verdict(const struct m_run *r, const struct shape *shape)
{
    int of = 0, done = 0, good = 0;

    for (size_t i = 0; i < MODEL_NODES; i++) {
        if (!(shape->needs & 1u << i))
            continue;
        of++;
        done += final(&r->nodes[i]);
        good += r->nodes[i].state == TASK_SUCCEEDED;
    }
    switch (shape->rule) {
    case GROUP_ALL_SUCCESS:
        return good == of ? 1 : done > good ? -1 : 0;
    case GROUP_ALL_DONE:
        return done == of;
    case GROUP_ONE_SUCCESS:
        return good ? 1 : done == of ? -1 : 0;
    case GROUP_AT_LEAST:
        return good >= AT_LEAST ? 1 : of - (done - good) < AT_LEAST ? -1 : 0;
    default:
        return done > 0;
    }
}

static bool settle_once(struct model *m, struct m_run *r)
{
    bool moved = false;

    for (size_t i = 0; i < MODEL_NODES; i++) {
        int v = r->nodes[i].state == TASK_BLOCKED ? verdict(r, &shapes[i]) : 0;

        if (v > 0)
            model_move(m, &r->nodes[i], TASK_MET, TASK_READY);
        else if (v < 0)
            model_move(m, &r->nodes[i], TASK_SKIP, TASK_SKIPPED);
        moved |= v != 0;
    }
    return moved;
}

static size_t count(const struct m_run *r, enum task_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < MODEL_NODES; i++)
        n += r->nodes[i].state == state;
    return n;
}

static bool all_final(const struct m_run *r)
{
    for (size_t i = 0; i < MODEL_NODES; i++)
        if (!final(&r->nodes[i]))
            return false;
    return true;
}

/* What follows from the ends of tasks. */
static void settle(struct model *m, struct m_run *r)
{
    while (settle_once(m, r)) {
    }
    if (!all_final(r) || run_final(r->state))
        return;
    r->state = r->state == RUN_CANCELLING ? RUN_CANCELLED
               : count(r, TASK_FAILED)    ? RUN_FAILED
               : count(r, TASK_CANCELLED) ? RUN_CANCELLED
                                          : RUN_SUCCEEDED;
    world_say(m->sim, "    run %" PRId64 " %s", r->id, run_state_text(r->state).p);
}

void model_node_ended(struct model *m, const struct m_task *node)
{
    for (size_t i = 0; i < m->runs_n; i++)
        if (node >= m->runs[i]->nodes && node < m->runs[i]->nodes + MODEL_NODES)
            settle(m, m->runs[i]);
}

/* What clients ask. */

static void start(struct model *m, const struct model_op *op)
{
    const struct run_row *reply = op->reply;
    struct m_run *r;

    if (op->code == CODE_WORKFLOW_NOT_FOUND || !model_code(m, op, CODE_OK))
        return; /* it may not have been put yet */
    r = ARENA_NEW(&m->memory, struct m_run);
    *r = (struct m_run){.id = reply->id, .state = RUN_RUNNING};
    for (size_t i = 0; i < MODEL_NODES; i++)
        r->nodes[i] = (struct m_task){
            .state = TASK_BLOCKED,
            .max_attempts = 2,
            .backoff_us = BACKOFF_US,
            .cap_us = BACKOFF_US,
            .timeout_us = 20 * CLOCK_S,
            .node = true,
        };
    ARENA_ROOM(&m->memory, m->runs, m->runs_n, m->runs_cap, 8);
    m->runs[m->runs_n++] = r;
    world_say(m->sim, "    run %" PRId64 " RUNNING", r->id);
    settle(m, r);
}

static void cancel(struct model *m, const struct model_op *op)
{
    struct m_run *r = run_of(m, *(const int64_t *)op->request);

    if (!r && model_push_cancel(m, op))
        return;
    if (!model_code(m, op,
                    !r                    ? CODE_RUN_NOT_FOUND
                    : run_final(r->state) ? CODE_RUN_ENDED
                                          : CODE_OK) ||
        !r || op->code != CODE_OK)
        return;
    r->state = RUN_CANCELLING;
    for (size_t i = 0; i < MODEL_NODES; i++) {
        struct m_task *t = &r->nodes[i];

        if (t->state == TASK_RUNNING && !t->cancel) {
            m->sim->result->coverage.tasks[TASK_RUNNING][TASK_CANCEL][TASK_RUNNING]++;
            t->cancel = true;
        } else if (t->state != TASK_RUNNING && !final(t)) {
            model_move(m, t, TASK_CANCEL, TASK_CANCELLED);
        }
    }
    settle(m, r);
}

static void retry(struct model *m, const struct model_op *op)
{
    const struct run_retry_reply *reply = op->reply;
    struct m_run *r = run_of(m, *(const int64_t *)op->request);
    int64_t n = 0;

    if (!model_code(m, op,
                    !r                          ? CODE_RUN_NOT_FOUND
                    : r->state == RUN_SUCCEEDED ? CODE_RUN_ENDED
                    : !run_final(r->state)      ? CODE_RUN_ACTIVE
                                                : CODE_OK) ||
        !r || op->code != CODE_OK)
        return;
    /* One that was cancelled in its last moment has nothing to give back, and stays as it is. */
    if (count(r, TASK_SUCCEEDED) < MODEL_NODES)
        r->state = RUN_RUNNING;
    for (size_t i = 0; i < MODEL_NODES; i++) {
        struct m_task *t = &r->nodes[i];

        if (t->state == TASK_SUCCEEDED)
            continue;
        t->budget_from = t->attempts;
        model_move(m, t, TASK_REWIND, TASK_BLOCKED);
        n++;
    }
    if (reply->tasks != n)
        model_fail(m, "run",
                   "%" PRId64 " tasks of run %" PRId64 " were given back, and not %" PRId64,
                   reply->tasks, r->id, n);
    settle(m, r);
}

/* What the workers within the servers ask. */

static void enroll(struct model *m, const struct model_op *op)
{
    const struct worker_register *req = op->request;
    const struct worker_row *reply = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    ARENA_ROOM(&m->memory, m->workers, m->workers_n, m->workers_cap, 16);
    m->workers[m->workers_n++] = (struct m_worker){
        .incarnation = reply->incarnation,
        .name = str_copy(&m->memory, req->name),
        .state = WORKER_READY,
        .slots = req->slots,
        .ttl_us = req->ttl_us,
        .beat_at = m->now,
        .local = true,
    };
}

static void lose(struct model *m, const struct model_op *op)
{
    const struct worker_lose *req = op->request;
    struct m_worker *w = model_worker_of(m, req->incarnation);

    if (model_code(m, op, w ? CODE_OK : CODE_WORKER_NOT_FOUND) && w && !worker_over(w->state))
        model_worker_end(m, w, WORKER_EVENT_EXPIRE);
}

void model_lose_nodes(struct model *m, int64_t incarnation)
{
    for (size_t i = 0; i < m->runs_n; i++)
        for (size_t j = 0; j < MODEL_NODES; j++) {
            struct m_task *t = &m->runs[i]->nodes[j];

            if (t->state == TASK_RUNNING && t->worker == incarnation)
                model_end(m, t, OUTCOME_LOST, false, 0);
        }
}

struct m_task *model_node_due(const struct model *m)
{
    for (size_t i = 0; i < m->runs_n; i++)
        for (size_t j = 0; j < MODEL_NODES; j++) {
            struct m_task *t = &m->runs[i]->nodes[j];

            if (t->state == TASK_DELAYED && t->due_at <= m->now)
                return t;
        }
    return NULL;
}

size_t model_nodes_held(const struct model *m, int64_t incarnation, bool cancelled)
{
    size_t n = 0;

    for (size_t i = 0; i < m->runs_n; i++)
        for (size_t j = 0; j < MODEL_NODES; j++) {
            const struct m_task *t = &m->runs[i]->nodes[j];

            n += t->state == TASK_RUNNING && t->worker == incarnation && (!cancelled || t->cancel);
        }
    return n;
}

static size_t ready(const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->runs_n; i++)
        n += run_final(m->runs[i]->state) ? 0 : count(m->runs[i], TASK_READY);
    return n;
}

static void claim_one(struct model *m, const struct run_claim *req, const struct task_lease *l)
{
    struct m_run *r = run_of(m, l->run);
    size_t i = 0;

    while (i < MODEL_NODES && (l->name.n != 1 || l->name.p[0] != shapes[i].name))
        i++;
    if (!r || i == MODEL_NODES) {
        model_fail(m, "lease", "task %" PRId64 " of run %" PRId64 " was given, which is not there",
                   l->task, l->run);
        return;
    }
    if (r->nodes[i].state != TASK_READY) {
        model_fail(m, r->nodes[i].state == TASK_RUNNING ? "lease_single" : "early",
                   "task \"" STR_FMT "\" of run %" PRId64 " was given while it is %s",
                   STR_ARG(l->name), l->run, task_state_text(r->nodes[i].state).p);
        return;
    }
    if (r->nodes[i].id && r->nodes[i].id != l->task)
        model_fail(m, "ids", "task %" PRId64 " was task %" PRId64, l->task, r->nodes[i].id);
    r->nodes[i].id = l->task;
    model_grant(m, &r->nodes[i], req->worker, l);
    model_told_lease(m, &r->nodes[i], l);
}

/* The lease with the least token above `after`. */
static const struct task_lease *next_lease(const struct run_shares *shares, int64_t after)
{
    const struct task_lease *next = NULL;

    for (size_t i = 0; i < shares->n; i++)
        for (size_t j = 0; j < shares->list[i].leases.n; j++) {
            const struct task_lease *l = &shares->list[i].leases.list[j];

            if (l->token > after && (!next || l->token < next->token))
                next = l;
        }
    return next;
}

static void claim(struct model *m, const struct model_op *op)
{
    const struct run_claim *req = op->request;
    const struct run_shares *shares = op->reply;
    const struct m_worker *w = model_worker_of(m, req->worker);
    const struct task_lease *l = NULL;
    int64_t room, n = 0;

    if (!model_code(m, op, w && worker_over(w->state) ? CODE_WORKER_LOST : CODE_OK) || !w ||
        op->code != CODE_OK)
        return;
    room = w->slots - (int64_t)model_nodes_held(m, req->worker, false);
    room = w->state != WORKER_READY ? 0 : room < req->max ? room : req->max;
    while ((l = next_lease(shares, l ? l->token : 0)) && !m->sim->result->check) {
        claim_one(m, req, l);
        n++;
    }
    if (n > room)
        model_fail(m, "slots", "%" PRId64 " tasks of runs were given, with room for %" PRId64, n,
                   room);
    if (n < room && ready(m))
        model_fail(m, "withheld", "%zu tasks of runs are READY and were not given", ready(m));
}

static void beat(struct model *m, const struct model_op *op)
{
    const struct worker_beat_reply *reply = op->reply;
    struct m_worker *w = model_worker_of(m, *(const int64_t *)op->request);
    size_t stops = w ? model_nodes_held(m, w->incarnation, true) : 0;

    if (!w || !model_code(m, op, worker_over(w->state) ? CODE_WORKER_LOST : CODE_OK) ||
        op->code != CODE_OK)
        return;
    model_worker_beat(m, w);
    model_told_state(m, w, reply->state);
    if (stops != reply->stop_n)
        model_fail(m, "cancel", "worker %" PRId64 " was told to stop %zu tasks, and not %zu",
                   w->incarnation, reply->stop_n, stops);
}

void model_run_op(struct model *m, const struct model_op *op)
{
    if (op->kind == ASK_RUN)
        start(m, op);
    else if (op->kind == ASK_RUN_CANCEL)
        cancel(m, op);
    else if (op->kind == ASK_RUN_RETRY)
        retry(m, op);
    else if (op->kind == MODEL_RUN_CLAIM)
        claim(m, op);
    else if (op->kind == MODEL_LOCAL_JOIN)
        enroll(m, op);
    else if (op->kind == MODEL_LOCAL_BEAT)
        beat(m, op);
    else if (op->kind == MODEL_LOCAL_LOSE)
        lose(m, op);
}

/* Views. */

size_t model_runs(const struct model *m)
{
    return m->runs_n;
}

int64_t model_run(const struct model *m, uint64_t number)
{
    return m->runs_n ? m->runs[number % m->runs_n]->id : 0;
}

enum run_state model_run_state(const struct model *m, int64_t run, int64_t counts[TASK_STATE_N])
{
    const struct m_run *r = run_of(m, run);

    for (size_t i = 0; i < TASK_STATE_N; i++)
        counts[i] = (int64_t)count(r, (enum task_state)i);
    return r->state;
}

size_t model_runs_open(const struct model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->runs_n; i++)
        n += !run_final(m->runs[i]->state);
    return n;
}
