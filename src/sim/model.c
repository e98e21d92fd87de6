/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/memory.h"
#include "engine/lease.h"
#include "engine/queue.h"
#include "sim/model_rows.h"

/* Rows. */

struct m_queue *model_queue_of(struct model *m, struct str name)
{
    for (size_t i = 0; i < m->queues_n; i++)
        if (str_eq(m->queues[i].name, name))
            return &m->queues[i];
    return NULL;
}

struct m_task *model_task_of(const struct model *m, int64_t id)
{
    size_t low = 0, high = m->tasks_n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (m->tasks[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->tasks_n && m->tasks[low]->id == id ? m->tasks[low] : NULL;
}

struct m_grant *model_grant_of(const struct model *m, int64_t token)
{
    size_t low = 0, high = m->grants_n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (m->grants[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->grants_n && m->grants[low].token == token ? &m->grants[low] : NULL;
}

struct m_worker *model_worker_of(const struct model *m, int64_t incarnation)
{
    for (size_t i = m->workers_n; i-- > 0;)
        if (m->workers[i].incarnation == incarnation)
            return &m->workers[i];
    return NULL;
}

static bool over(const struct m_task *t)
{
    return t->state == TASK_SUCCEEDED || t->state == TASK_CANCELLED || t->state == TASK_SKIPPED;
}

static bool held(const struct m_task *t)
{
    return t->state == TASK_RUNNING;
}

int64_t model_busy(const struct model *m, int64_t incarnation)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += held(t) && t->worker == incarnation;
    return n;
}

void model_fail(struct model *m, const char *check, const char *format, ...)
{
    char room[SIM_FAILURE_BYTES];
    struct buf text;
    va_list args;

    buf_fixed(&text, room, sizeof(room));
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    world_fail(m->sim, check, "%.*s", (int)text.n, room);
}

bool model_code(struct model *m, const struct model_op *op, enum code expected)
{
    if (op->code == expected)
        return true;
    model_fail(m, "answer", "%s was answered %.*s%s%.*s, and should have been %.*s",
               op->kind < ASK_N ? ask_method((enum ask_kind)op->kind) : "a transaction",
               STR_ARG(code_text(op->code)), op->text ? ": " : "",
               STR_ARG(op->text ? *op->text : STR("")), STR_ARG(code_text(expected)));
    return false;
}

/* Moves. */

void model_move(struct model *m, struct m_task *t, enum task_event event, enum task_state to)
{
    m->sim->result->coverage.tasks[t->state][event][to]++;
    if (world_says(m->sim))
        world_say(m->sim, "    task %" PRId64 " %s -> %s", t->id, task_state_text(t->state).p,
                  task_state_text(to).p);
    t->state = to;
    t->freed |= to == TASK_FAILED;
    while (m->open_from < m->tasks_n && over(m->tasks[m->open_from]))
        m->open_from++;
}

static int64_t backoff(const struct m_task *t, int64_t used)
{
    int64_t wait = t->backoff_us;

    for (int64_t i = 1; i < used && wait < t->cap_us; i++)
        wait *= 2;
    return wait < t->cap_us ? wait : t->cap_us;
}

/* An attempt that did not succeed: again, later, or never. */
static void end_badly(struct model *m, struct m_task *t, enum task_event event)
{
    int64_t used = t->attempts - t->budget_from;
    int64_t wait = backoff(t, used);

    if (t->cancel) {
        model_move(m, t, event, TASK_CANCELLED);
    } else if (used >= t->max_attempts) {
        model_move(m, t, event, TASK_FAILED);
    } else if (wait) {
        t->due_at = m->now + wait;
        model_move(m, t, event, TASK_DELAYED);
    } else {
        model_move(m, t, event, TASK_READY);
    }
}

void model_end(struct model *m, struct m_task *t, enum outcome o, bool told, uint64_t content)
{
    struct m_grant *g = model_grant_of(m, t->token);

    g->state = told ? GRANT_TOLD : GRANT_TAKEN;
    g->outcome = o;
    g->content = content;
    switch (o) {
    case OUTCOME_SUCCEEDED:
        model_move(m, t, TASK_SUCCEED, TASK_SUCCEEDED);
        break;
    case OUTCOME_CANCELLED:
        model_move(m, t, TASK_STOP, TASK_CANCELLED);
        break;
    case OUTCOME_REJECTED:
        t->budget_from++;
        model_move(m, t, TASK_RELEASE, t->cancel ? TASK_CANCELLED : TASK_READY);
        break;
    case OUTCOME_FAILED:
        end_badly(m, t, TASK_FAIL);
        break;
    case OUTCOME_TIMED_OUT:
        end_badly(m, t, TASK_TIME_OUT);
        break;
    default:
        end_badly(m, t, TASK_LOSE);
        break;
    }
    t->token = t->worker = t->expires_at = t->deadline_at = 0;
    t->cancel = false;
    if (t->node)
        model_node_ended(m, t);
}

void model_lose(struct model *m, int64_t incarnation)
{
    for (size_t i = m->open_from; i < m->tasks_n; i++)
        if (held(m->tasks[i]) && m->tasks[i]->worker == incarnation)
            model_end(m, m->tasks[i], OUTCOME_LOST, false, 0);
}

/* Queues. */

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
    struct m_queue *q;

    if (!model_code(m, op, CODE_OK))
        return;
    q = queue_need(m, put->name);
    if (put->given & 1u << QUEUE_SET_CONCURRENCY_MAX)
        q->concurrency = put->set.concurrency_max;
    if (put->set.key_concurrency != q->key_concurrency && m->tasks_n)
        q->key_since = m->tasks[m->tasks_n - 1]->id;
    if (put->given & 1u << QUEUE_SET_KEY_CONCURRENCY)
        q->key_concurrency = put->set.key_concurrency;
    if (put->given & 1u << QUEUE_SET_CLAIM_TTL)
        q->claim_ttl_us = put->set.claim_ttl_us;
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
    if (t->queue == q && !t->freed && !over(t) && str_eq(t->unique, unique))
        return t;
    return NULL;
}

/* Time never goes back between transactions that have written. */
static void check_time(struct model *m)
{
    if (m->now < m->written)
        model_fail(m, "time", "the store's time went back by %" PRId64 " us", m->written - m->now);
    m->written = m->now;
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
    check_time(m);
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
    };
    ARENA_ROOM(&m->memory, m->tasks, m->tasks_n, m->tasks_cap, 64);
    m->tasks[m->tasks_n++] = t;
    m->sim->result->coverage.tasks[TASK_BLOCKED][TASK_MET][t->state]++;
    world_say(m->sim, "    task %" PRId64 " %s", id, task_state_text(t->state).p);
}

static void check_duplicate(struct model *m, const struct m_queue *q, const struct task_new *n,
                            int64_t id)
{
    const struct m_task *t = model_task_of(m, id);

    if (!n->unique_key.n || !t || t->queue != q || !str_eq(t->unique, n->unique_key) || over(t))
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

/* Claims. */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t live_of_queue(const struct model *m, const struct m_queue *q)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += held(t) && t->queue == q;
    return n;
}

static int64_t live_of_key(const struct model *m, const struct m_task *of)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += held(t) && t->queue == of->queue && str_eq(t->key, of->key) && t->id > t->queue->key_since;
    return n;
}

/* The first one in the queue's order. */
static struct m_task *first_ready(const struct model *m, const struct m_queue *q)
{
    struct m_task *first = NULL;

    MODEL_EACH_TASK(m, t)
    if (t->queue == q && t->state == TASK_READY && (!first || t->priority > first->priority))
        first = t;
    return first;
}

void model_grant(struct model *m, struct m_task *t, int64_t worker, const struct task_lease *l)
{
    if (m->grants_n && l->token <= m->grants[m->grants_n - 1].token) {
        model_fail(m, "token_order", "task %" PRId64 " got token %" PRId64 " after %" PRId64, t->id,
                   l->token, m->grants[m->grants_n - 1].token);
        return;
    }
    ARENA_ROOM(&m->memory, m->grants, m->grants_n, m->grants_cap, 128);
    m->grants[m->grants_n++] = (struct m_grant){.token = l->token, .task = t->id};
    t->attempts++;
    if (l->attempt != t->attempts)
        model_fail(m, "attempts",
                   "task %" PRId64 " was given as attempt %" PRId64
                   ", and it is its attempt %" PRId64,
                   t->id, l->attempt, t->attempts);
    check_time(m);
    t->token = l->token;
    t->worker = worker;
    t->deadline_at = t->timeout_us ? m->now + t->timeout_us : 0;
    t->expires_at = 0;
    /* Both moves at once: nobody ever finds it LEASED. */
    m->sim->result->coverage.tasks[TASK_READY][TASK_CLAIM][TASK_LEASED]++;
    t->state = TASK_LEASED;
    model_move(m, t, TASK_START, TASK_RUNNING);
}

/* One lease of a claim. */
static void claim_one(struct model *m, const struct m_queue *q, const struct task_claim *req,
                      const struct task_lease *l)
{
    struct m_task *t = model_task_of(m, l->task), *first = first_ready(m, q);

    if (!t || t->queue != q) {
        model_fail(m, "lease", "task %" PRId64 " was given, which is not in the queue", l->task);
    } else if (held(t)) {
        model_fail(m, "lease_single",
                   "task %" PRId64 " was given under token %" PRId64 " while token %" PRId64
                   " lives",
                   t->id, l->token, t->token);
    } else if (t->state != TASK_READY) {
        model_fail(m, "lease", "task %" PRId64 " was given while it is %s", t->id,
                   task_state_text(t->state).p);
    } else if (q->key_concurrency == 0 && t != first) {
        model_fail(m, "fifo", "task %" PRId64 " was given before task %" PRId64, t->id, first->id);
    } else if (q->key_concurrency && t->key.n && t->id > q->key_since &&
               live_of_key(m, t) >= q->key_concurrency) {
        model_fail(m, "key", "task %" PRId64 " was given while its key has no place", t->id);
    } else {
        model_grant(m, t, req->worker, l);
        if (!req->worker)
            t->expires_at = m->now + (req->ttl_us ? req->ttl_us : q->claim_ttl_us);
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

static void claim(struct model *m, const struct model_op *op)
{
    const struct task_claim *req = op->request;
    const struct task_leases *leases = op->reply;
    struct m_queue *q = model_queue_of(m, req->queue);
    int64_t room;

    if (!model_code(m, op, claim_code(m, q, req)) || op->code != CODE_OK)
        return;
    room = room_of(m, q, req);
    if ((int64_t)leases->n > room)
        model_fail(m, "slots",
                   "%zu tasks of " STR_FMT " were given where there is room for %" PRId64,
                   leases->n, STR_ARG(q->name), room);
    for (size_t i = 0; i < leases->n && !m->sim->result->check; i++)
        claim_one(m, q, req, &leases->list[i]);
    if (!m->sim->result->check && (int64_t)leases->n < room && !q->key_concurrency &&
        first_ready(m, q))
        model_fail(m, "withheld", "task %" PRId64 " is READY and was not given to who asked",
                   first_ready(m, q)->id);
}

/* Ends. */

static uint64_t hash_text(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
    return h;
}

/* What an ended lease answers to a completion. */
static enum code stale_code(const struct m_grant *g, int64_t task, enum outcome o, uint64_t content)
{
    if (!g || g->task != task || g->state != GRANT_TOLD)
        return CODE_LEASE_LOST;
    return g->outcome == o && g->content == content ? CODE_OK : CODE_COMPLETION_CONFLICT;
}

static void end_one(struct model *m, struct lease_ref l, enum outcome o, uint64_t content,
                    enum code code)
{
    const struct m_grant *g = model_grant_of(m, l.token);
    bool live = g && g->state == GRANT_LIVE && g->task == l.task;
    enum code expected = live ? CODE_OK : stale_code(g, l.task, o, content);

    if (code != expected) {
        model_fail(m, "fence",
                   "the end of task %" PRId64 " under token %" PRId64
                   " (%s) was answered %.*s, and "
                   "should have been %.*s",
                   l.task, l.token,
                   !g                       ? "never given"
                   : live                   ? "live"
                   : g->state == GRANT_TOLD ? "ended"
                                            : "lost",
                   STR_ARG(code_text(code)), STR_ARG(code_text(expected)));
        return;
    }
    if (live) {
        struct m_task *t = model_task_of(m, l.task);

        model_end(m, t ? t : model_node_of(m, l.task), o, true, content);
    }
}

static void complete(struct model *m, const struct model_op *op)
{
    const struct task_complete *req = op->request;
    const struct task_codes *codes = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++) {
        const struct task_result *t = &req->list[i];
        uint64_t content = hash_text(hash_text(1, t->message), t->output);

        end_one(m, t->lease, t->outcome, content, codes->list[i]);
    }
}

static void release(struct model *m, const struct model_op *op)
{
    const struct task_release *req = op->request;
    const struct task_codes *codes = op->reply;
    uint64_t nothing = hash_text(hash_text(1, STR("")), STR(""));

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++)
        end_one(m, req->list[i], OUTCOME_REJECTED, nothing, codes->list[i]);
}

static void renew(struct model *m, const struct model_op *op)
{
    const struct lease_renew *req = op->request;
    const struct lease_renewals *reply = op->reply;

    if (!model_code(m, op, CODE_OK))
        return;
    for (size_t i = 0; i < req->n && !m->sim->result->check; i++) {
        struct lease_ref l = req->list[i].lease;
        const struct m_grant *g = model_grant_of(m, l.token);
        bool live = g && g->state == GRANT_LIVE && g->task == l.task;
        struct m_task *t = live ? model_task_of(m, l.task) : NULL;

        if (live && !t)
            t = model_node_of(m, l.task);
        if (reply->list[i].code != (live ? CODE_OK : CODE_LEASE_LOST))
            model_fail(m, "fence", "token %" PRId64 " was renewed, and it is %s", l.token,
                       live ? "live" : "not live");
        else if (t && reply->list[i].stop != t->cancel)
            model_fail(m, "cancel", "task %" PRId64 " is%s to be stopped", t->id,
                       t->cancel ? "" : " not");
        else if (t && t->expires_at) {
            int64_t until = m->now + (req->ttl_us ? req->ttl_us : t->queue->claim_ttl_us);

            t->expires_at = until > t->expires_at ? until : t->expires_at;
        }
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
    enum code expected = !t || over(t)             ? CODE_TASK_NOT_FOUND
                         : t->state == TASK_FAILED ? CODE_TASK_STATE
                                                   : CODE_OK;

    if (!model_code(m, op, expected) || expected != CODE_OK)
        return;
    if (held(t)) {
        m->sim->result->coverage.tasks[TASK_RUNNING][TASK_CANCEL][TASK_RUNNING]++;
        t->cancel = true;
    } else {
        model_move(m, t, TASK_CANCEL, TASK_CANCELLED);
    }
}

/* What a state is, for counting how many were met: how many tasks and workers are in which state,
 * and how far they are. */
static void note_state(const struct model *m)
{
    uint64_t h = 0xcbf29ce484222325ULL, tasks[TASK_STATE_N] = {0};

    if (!m->sim->o.states)
        return;
    MODEL_EACH_TASK(m, t)
    tasks[t->state] += 1 + (t->attempts > 1) * 8 + t->cancel * 64;
    for (size_t i = 0; i < TASK_STATE_N; i++)
        h = (h ^ tasks[i]) * 0x100000001b3ULL;
    for (size_t i = 0; i < m->workers_n; i++)
        if (!worker_over(m->workers[i].state))
            h = (h ^ m->workers[i].state) * 0x100000001b3ULL;
    h ^= h >> 29;
    h %= SIM_STATES_BYTES * 8;
    m->sim->o.states[h / 8] |= (uint8_t)(1u << h % 8);
}

void model_ran(struct model *m, int64_t now, const struct model_op *op)
{
    if (m->sim->result->check)
        return;
    m->now = now;
    switch (op->kind) {
    case ASK_PUT_QUEUE:
        put_queue(m, op);
        break;
    case ASK_ENQUEUE:
        enqueue(m, op);
        break;
    case ASK_CLAIM:
        claim(m, op);
        break;
    case ASK_PAUSE:
    case ASK_RESUME:
        pause(m, op, op->kind == ASK_PAUSE);
        break;
    case ASK_REQUEUE:
        requeue(m, op);
        break;
    case ASK_CANCEL:
        cancel(m, op);
        break;
    case ASK_RENEW:
        renew(m, op);
        break;
    case ASK_COMPLETE:
    case MODEL_LOCAL_COMPLETE:
        complete(m, op);
        break;
    case ASK_RELEASE:
    case MODEL_GIVE_BACK:
        release(m, op);
        break;
    case MODEL_REAPER:
        model_reaper(m, op->reply);
        break;
    case ASK_REGISTER:
    case ASK_BEAT:
    case ASK_DRAIN:
    case ASK_LEAVE:
        model_worker_op(m, op);
        break;
    default:
        model_run_op(m, op);
        break;
    }
    note_state(m);
}

/* Views. */

void model_counts(const struct model *m, struct str queue, int64_t counts[TASK_STATE_N])
{
    for (size_t i = 0; i < TASK_STATE_N; i++)
        counts[i] = 0;
    for (size_t i = 0; i < m->tasks_n; i++)
        if (str_eq(m->tasks[i]->queue->name, queue))
            counts[m->tasks[i]->state]++;
}

static bool rests(const struct m_task *t)
{
    return over(t) || t->state == TASK_FAILED;
}

size_t model_open(const struct model *m)
{
    size_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += !rests(t);
    return n;
}

void model_describe_open(const struct model *m, struct buf *out)
{
    MODEL_EACH_TASK(m, t)
    if (!rests(t)) {
        buf_printf(out, "task %" PRId64 " of " STR_FMT " is %s", t->id, STR_ARG(t->queue->name),
                   task_state_text(t->state).p);
        return;
    }
}

/* Mostly one that has not ended, where there is one. */
int64_t model_task(const struct model *m, uint64_t number)
{
    size_t open = m->tasks_n - m->open_from;

    if (open && number % 8)
        return m->tasks[m->open_from + number / 8 % open]->id;
    return m->tasks_n ? m->tasks[number / 8 % m->tasks_n]->id : 0;
}

struct model *model_new(struct sim *s)
{
    struct model *m = ARENA_NEW(&s->memory, struct model);

    m->sim = s;
    m->queues = ARENA_ARRAY(&m->memory, struct m_queue, SIM_QUEUES_MAX);
    return m;
}

struct model *model_free(struct model *m)
{
    if (m)
        arena_deinit(&m->memory);
    return NULL;
}
