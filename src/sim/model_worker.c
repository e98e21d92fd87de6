/* SPDX-License-Identifier: Apache-2.0 */
/* The model's workers, and what the reaper does. */
#include <inttypes.h>

#include "serve/duties.h"
#include "sim/model_rows.h"

/* What is left of a storm when it is over, such as a disk that is full, or the duty of a server
 * that died, has gone by then; … */
#define QUIET_US (60 * CLOCK_S)
/* … and then nothing waits longer for the reaper than its period, and a moment for the store. */
#define LATE_US (DUTIES_RENEW_US + CLOCK_S)

static void worker_move_to(struct model *m, struct m_worker *w, enum worker_event event,
                           enum worker_state to)
{
    m->sim->result->coverage.workers[w->state][event][to]++;
    if (w->state != to)
        world_say(m->sim, "    worker %" PRId64 " %s -> %s", w->incarnation,
                  worker_state_text(w->state).p, worker_state_text(to).p);
    w->state = to;
}

static bool silent(const struct model *m, const struct m_worker *w, int64_t for_us)
{
    return m->now > w->beat_at && m->now - w->beat_at >= for_us;
}

void model_worker_end(struct model *m, struct m_worker *w, enum worker_event event)
{
    worker_move_to(m, w, event, event == WORKER_EVENT_LEAVE ? WORKER_GONE : WORKER_LOST);
    model_lose(m, w->incarnation);
    model_lose_nodes(m, w->incarnation);
    model_push_lose(m, w->incarnation);
}

void model_worker_beat(struct model *m, struct m_worker *w)
{
    worker_move_to(m, w, WORKER_EVENT_BEAT,
                   w->state == WORKER_DRAINING ? WORKER_DRAINING : WORKER_READY);
    w->beat_at = m->now;
}

/* The newest incarnation of that name that is not over. */
static struct m_worker *living(const struct model *m, struct str name)
{
    for (size_t i = m->workers_n; i-- > 0;)
        if (str_eq(m->workers[i].name, name) && !worker_over(m->workers[i].state))
            return &m->workers[i];
    return NULL;
}

/* Of a queue, or a stage that a runner was called for. */
static struct m_task *held_task(const struct model *m, int64_t id)
{
    struct m_task *t = model_task_of(m, id);

    return t ? t : model_push_of(m, id);
}

static size_t hand_over(struct model *m, int64_t from, int64_t to, const struct worker_joined *j)
{
    for (size_t i = 0; i < j->kept_n; i++) {
        struct m_task *t = held_task(m, j->kept[i].task);

        if (!t || t->token != j->kept[i].token || t->worker != from)
            model_fail(m, "join", "token %" PRId64 " went over to another life, and is not live",
                       j->kept[i].token);
        else
            t->worker = to;
    }
    return j->kept_n;
}

/* How many of the leases that are named the earlier incarnation holds. */
static size_t named(const struct model *m, int64_t earlier, const struct worker_join *req)
{
    size_t n = 0;

    for (size_t i = 0; i < req->leases_n; i++) {
        const struct m_task *t = held_task(m, req->leases[i].task);

        n += earlier && t && t->token == req->leases[i].token && t->worker == earlier;
    }
    return n < (size_t)req->worker.slots || !req->worker.slots ? n : (size_t)req->worker.slots;
}

static void enroll(struct model *m, const struct model_op *op)
{
    const struct worker_join *req = op->request;
    const struct worker_joined *j = op->reply;
    struct m_worker *earlier = living(m, req->worker.name);
    bool late = earlier && silent(m, earlier, earlier->ttl_us / 5 * 2);
    /* At the same address it is the same runner, started again. */
    bool same = earlier && earlier->address.n && str_eq(earlier->address, req->worker.address);
    int64_t from = earlier ? earlier->incarnation : 0;
    size_t kept;

    if (!model_code(m, op,
                    earlier && !late && !req->takeover && !same ? CODE_WORKER_ALIVE : CODE_OK) ||
        op->code != CODE_OK)
        return;
    kept = named(m, from, req);
    m->sim->result->coverage.workers[WORKER_JOINING][WORKER_EVENT_BEAT][WORKER_READY]++;
    ARENA_ROOM(&m->memory, m->workers, m->workers_n, m->workers_cap, 16);
    m->workers[m->workers_n++] = (struct m_worker){
        .incarnation = j->worker.worker.incarnation,
        .name = str_copy(&m->memory, req->worker.name),
        .state = WORKER_READY,
        .slots = req->worker.slots,
        .ttl_us = req->worker.ttl_us,
        .beat_at = m->now,
        .type = str_copy(&m->memory, req->worker.type),
        .address = str_copy(&m->memory, req->worker.address),
        .modes = req->worker.modes,
        .labelled = req->worker.labels.n > 0,
    };
    if (hand_over(m, from, j->worker.worker.incarnation, j) != kept)
        model_fail(m, "join", "%zu leases went over to another life, and should have been %zu",
                   j->kept_n, kept);
    earlier = from ? model_worker_of(m, from) : NULL; /* the list may have moved */
    if (earlier)
        model_worker_end(m, earlier, WORKER_EVENT_EXPIRE);
}

static void beat(struct model *m, const struct model_op *op)
{
    const struct worker_beat *req = op->request;
    const struct worker_beat_reply *reply = op->reply;
    struct m_worker *w = model_worker_of(m, req->incarnation);
    size_t stops = 0;

    if (!model_code(m, op,
                    !w                      ? CODE_WORKER_NOT_FOUND
                    : worker_over(w->state) ? CODE_WORKER_LOST
                                            : CODE_OK) ||
        op->code != CODE_OK || !w)
        return;
    model_worker_beat(m, w);
    model_told_state(m, w, reply->state);
    MODEL_EACH_TASK(m, t)
    stops += t->worker == w->incarnation && t->cancel;
    if (w->address.n ? !model_push_stops(m, w->incarnation, reply->stop, reply->stop_n)
                     : stops != reply->stop_n)
        model_fail(m, "cancel",
                   "worker %" PRId64 " was told to stop %zu tasks, and should have been %zu",
                   w->incarnation, reply->stop_n, stops);
}

static void drain(struct model *m, const struct model_op *op)
{
    struct m_worker *w = model_worker_of(m, *(const int64_t *)op->request);

    if (!model_code(m, op,
                    !w                      ? CODE_WORKER_NOT_FOUND
                    : worker_over(w->state) ? CODE_WORKER_LOST
                                            : CODE_OK) ||
        op->code != CODE_OK || !w)
        return;
    worker_move_to(m, w, WORKER_EVENT_DRAIN, WORKER_DRAINING);
}

static void leave(struct model *m, const struct model_op *op)
{
    struct m_worker *w = model_worker_of(m, *(const int64_t *)op->request);

    if (model_code(m, op, w ? CODE_OK : CODE_WORKER_NOT_FOUND) && w && !worker_over(w->state))
        model_worker_end(m, w, WORKER_EVENT_LEAVE);
}

void model_worker_op(struct model *m, const struct model_op *op)
{
    if (op->kind == ASK_REGISTER)
        enroll(m, op);
    else if (op->kind == ASK_BEAT)
        beat(m, op);
    else if (op->kind == ASK_DRAIN)
        drain(m, op);
    else if (op->kind == ASK_LEAVE)
        leave(m, op);
}

/* The reaper. */

static void compare(struct model *m, const char *what, int64_t did, int64_t should)
{
    if (did != should)
        model_fail(m, "reaper", "%" PRId64 " %s, and should have been %" PRId64, did, what, should);
}

/* That it comes in time. */
void model_check_late(struct model *m, const char *what, int64_t id, int64_t due_at)
{
    bool quiet = m->sim->calm && world_now(m->sim) > m->sim->calm_at + QUIET_US;

    if (quiet && m->now - due_at > LATE_US)
        model_fail(m, "late", "the reaper comes to %s %" PRId64 " %.3f s late", what, id,
                   (double)(m->now - due_at) / CLOCK_S);
}

/* Whoever was to wait for the shorter time comes first. */
static struct m_task *first_due(const struct model *m)
{
    struct m_task *first = NULL;

    MODEL_EACH_TASK(m, t)
    if (t->state == TASK_DELAYED && t->due_at <= m->now && (!first || t->due_at < first->due_at))
        first = t;
    return first;
}

static void promote_one(struct model *m, struct m_task *t)
{
    model_check_late(m, "delayed task", t->id, t->due_at);
    t->due_at = 0;
    model_move(m, t, TASK_DUE, TASK_READY);
}

static int64_t promote(struct model *m)
{
    int64_t n = 0;

    for (struct m_task *t; (t = first_due(m)); n++)
        promote_one(m, t);
    for (struct m_task *t; (t = model_node_due(m)); n++)
        promote_one(m, t);
    model_lane_settle(m);
    return n;
}

/* Leases whose time is over: `of` tells it. */
static int64_t take_back(struct model *m, int64_t (*of)(const struct m_task *t), enum outcome o)
{
    int64_t n = 0;

    for (size_t i = m->open_from; i < m->tasks_n; i++) {
        struct m_task *t = m->tasks[i];

        if (t->token && of(t) && of(t) <= m->now) {
            model_check_late(m, "the lease of task", t->id, of(t));
            model_end(m, t, o, false, 0);
            n++;
        }
    }
    model_lane_settle(m);
    return n;
}

static int64_t deadline(const struct m_task *t)
{
    return t->deadline_at;
}

static int64_t expiry(const struct m_task *t)
{
    return t->expires_at;
}

static int64_t watch_workers(struct model *m)
{
    int64_t n = 0;

    for (size_t i = 0; i < m->workers_n; i++) {
        struct m_worker *w = &m->workers[i];

        if (worker_over(w->state) || (w->local && silent(m, w, w->ttl_us)))
            continue; /* whoever is on its machine has the proof of its death */
        if (silent(m, w, w->ttl_us)) {
            model_check_late(m, "worker", w->incarnation, w->beat_at + w->ttl_us);
            model_worker_end(m, w, WORKER_EVENT_EXPIRE);
            n++;
        } else if (w->state == WORKER_READY && silent(m, w, w->ttl_us / 5 * 2)) {
            worker_move_to(m, w, WORKER_EVENT_QUIET, WORKER_SUSPECT);
        }
    }
    return n;
}

void model_reaper(struct model *m, const struct reaper_reply *r)
{
    int64_t promoted = promote(m), n;

    model_graph_due(m);
    model_graph_settle(m);

    /* Of stages that wait to be tried again only their leases are known here. */
    compare(m, "delayed tasks became ready", m->opens_n ? promoted : r->promoted, promoted);
    n = take_back(m, deadline, OUTCOME_TIMED_OUT);
    n += model_push_late(m);
    compare(m, "attempts timed out", r->timed_out, n);
    model_graph_settle(m);
    n = take_back(m, expiry, OUTCOME_LOST);
    n += model_push_expired(m);
    compare(m, "leases expired", r->expired, n);
    model_graph_settle(m);
    compare(m, "workers were lost", r->lost, watch_workers(m));
    model_told_due(m, NULL, r->next_due_at);
}
