/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>

#include "base/memory.h"
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

int64_t model_busy(const struct model *m, int64_t incarnation)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += model_held(t) && t->worker == incarnation;
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
    if (!t->node)
        model_lane_moved(m, t);
    while (m->open_from < m->tasks_n && model_over(m->tasks[m->open_from]))
        m->open_from++;
}

void model_check_time(struct model *m)
{
    if (m->now < m->written)
        model_fail(m, "time", "the store's time went back by %" PRId64 " us", m->written - m->now);
    m->written = m->now;
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

typedef void part(struct model *m, const struct model_op *op);

static void reap(struct model *m, const struct model_op *op)
{
    model_reaper(m, op->reply);
}

/* What each kind is the business of. */
static part *const parts[MODEL_KINDS_N] = {
    [ASK_PUT_QUEUE] = model_queue_op,
    [ASK_ENQUEUE] = model_queue_op,
    [ASK_PAUSE] = model_queue_op,
    [ASK_RESUME] = model_queue_op,
    [ASK_REQUEUE] = model_queue_op,
    [ASK_CANCEL] = model_queue_op,
    [ASK_CLAIM] = model_claim,
    [ASK_RENEW] = model_lease_op,
    [ASK_COMPLETE] = model_lease_op,
    [ASK_RELEASE] = model_lease_op,
    [MODEL_LOCAL_COMPLETE] = model_lease_op,
    [MODEL_GIVE_BACK] = model_lease_op,
    [MODEL_PUSH_COMPLETE] = model_lease_op,
    [MODEL_PUSH_ROUND] = model_push_op,
    [MODEL_PUSH_ACCEPT] = model_push_op,
    [MODEL_PUSH_REFUSE] = model_push_op,
    [MODEL_PUSH_KEEP] = model_push_op,
    [ASK_PLAN_CREATE] = model_graph_op,
    [ASK_PLAN_WRITE] = model_graph_op,
    [ASK_PLAN_SEAL] = model_graph_op,
    [MODEL_REAPER] = reap,
    [ASK_REGISTER] = model_worker_op,
    [ASK_BEAT] = model_worker_op,
    [ASK_DRAIN] = model_worker_op,
    [ASK_LEAVE] = model_worker_op,
    [ASK_RUN] = model_run_op,
    [ASK_RUN_CANCEL] = model_run_op,
    [ASK_RUN_RETRY] = model_run_op,
    [MODEL_RUN_CLAIM] = model_run_op,
    [MODEL_LOCAL_JOIN] = model_run_op,
    [MODEL_LOCAL_BEAT] = model_run_op,
    [MODEL_LOCAL_LOSE] = model_run_op,
};

void model_ran(struct model *m, int64_t now, const struct model_op *op)
{
    if (m->sim->result->check)
        return;
    m->now = now;
    if (parts[op->kind])
        parts[op->kind](m, op);
    note_state(m);
}

void model_settle(struct model *m)
{
    model_lane_settle(m);
    model_graph_settle(m);
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
    return model_over(t) || t->state == TASK_FAILED;
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
