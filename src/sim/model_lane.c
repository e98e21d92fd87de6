/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's order within a queue: the places and turns of keys.
 *
 * What becomes READY enters, and what ends leaves, when everything that came at once is over:
 * requests that the server ran together took effect in one moment, so that of their tasks the
 * higher priority comes first, whoever sent it.
 */
#include "sim/model_rows.h"

#include <stdlib.h>

static bool same_key(const struct m_task *a, const struct m_task *b)
{
    return a->queue == b->queue && str_eq(a->key, b->key);
}

void model_lane_moved(struct model *m, struct m_task *t)
{
    if (task_final(t->state) && t->gate == LANE_PLACE) {
        ARENA_ROOM(&m->memory, m->leaving, m->leaving_n, m->leaving_cap, 16);
        m->leaving[m->leaving_n++] = t;
    }
    if (task_final(t->state))
        t->gate = LANE_FREE;
    if (t->state == TASK_READY && t->gate == LANE_FREE) {
        ARENA_ROOM(&m->memory, m->entering, m->entering_n, m->entering_cap, 16);
        m->entering[m->entering_n++] = t;
    }
}

bool model_lane_before(const struct m_task *a, const struct m_task *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->turn != b->turn ? a->turn < b->turn : a->id < b->id;
}

/* Places. */

static int64_t places(const struct model *m, const struct m_task *of)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    n += same_key(t, of) && t->gate == LANE_PLACE;
    return n;
}

/* The first of those of its key that wait, however many turns came before. */
static struct m_task *first_waiting(const struct model *m, const struct m_task *of)
{
    struct m_task *first = NULL;

    MODEL_EACH_TASK(m, t)
    if (same_key(t, of) && t->gate == LANE_WAITS && (!first || t->priority > first->priority))
        first = t;
    return first;
}

static void leave(const struct model *m, const struct m_task *left)
{
    int64_t limit = left->queue->key_concurrency;
    struct m_task *next;

    while ((limit == 0 || places(m, left) < limit) && (next = first_waiting(m, left)))
        next->gate = LANE_PLACE;
}

/* The one with the highest priority, and of these the one that came first; it is taken out. */
static struct m_task *next_entering(struct m_task **list, size_t n)
{
    struct m_task *next = NULL;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        if (list[i] && (!next || list[i]->priority > next->priority))
            next = list[at = i];
    if (next)
        list[at] = NULL;
    return next;
}

static void give_places(const struct model *m)
{
    struct m_task *t;

    while ((t = next_entering(m->entering, m->entering_n)))
        if (t->state == TASK_READY && t->key.n && t->queue->key_concurrency)
            t->gate = places(m, t) < t->queue->key_concurrency ? LANE_PLACE : LANE_WAITS;
}

/* Turns. */

/* The turn after the last one of its key, and not before the one whose turn it is. */
static int64_t next_turn(const struct model *m, const struct m_task *of)
{
    int64_t first = 0, last = 0;

    MODEL_EACH_TASK(m, t)
    if (t->queue == of->queue && t->priority == of->priority && t->state == TASK_READY && t->turn) {
        if (t->gate != LANE_WAITS && (!first || t->turn < first))
            first = t->turn;
        if (same_key(t, of) && t->turn > last)
            last = t->turn;
    }
    return first > last ? first : last + 1;
}

/* All of them look before any has its turn. */
static void give_turns(const struct model *m)
{
    int64_t *turns = ARENA_ARRAY(&m->sim->memory, int64_t, m->entering_n);

    for (size_t i = 0; i < m->entering_n; i++) {
        const struct m_task *t = m->entering[i];

        turns[i] = t->queue->fair && !t->turn ? next_turn(m, t) : 0;
        for (size_t j = 0; turns[i] && j < i; j++)
            if (same_key(t, m->entering[j]) && t->priority == m->entering[j]->priority && turns[j])
                turns[i] = turns[j] + 1;
    }
    for (size_t i = 0; i < m->entering_n; i++)
        if (turns[i])
            m->entering[i]->turn = turns[i];
}

static int by_id(const void *a, const void *b)
{
    const struct m_task *x = *(struct m_task *const *)a, *y = *(struct m_task *const *)b;

    return (x->id > y->id) - (x->id < y->id);
}

void model_lane_settle(struct model *m)
{
    if (m->leaving_n + m->entering_n == 0)
        return;
    /* Those that come back together do so in the order in which they first came. */
    qsort(m->entering, m->entering_n, sizeof(struct m_task *), by_id);
    for (size_t i = 0; i < m->leaving_n; i++)
        leave(m, m->leaving[i]);
    give_turns(m);
    give_places(m);
    m->leaving_n = m->entering_n = 0;
}

/* Settings that change. */

/* What runs keeps its place, and so does what waits to be tried again. */
static bool begun(const struct m_task *t)
{
    return model_held(t) || (t->gate == LANE_PLACE && t->attempts);
}

static bool judged(const struct m_task *t, const struct m_queue *q)
{
    return t->queue == q && t->key.n &&
           (t->state == TASK_READY || model_held(t) ||
            (t->state == TASK_DELAYED && t->gate == LANE_PLACE));
}

/* How many of its key have a place before it. */
static int64_t ahead(const struct model *m, const struct m_task *of)
{
    int64_t n = 0;

    MODEL_EACH_TASK(m, t)
    if (t != of && same_key(t, of) && judged(t, of->queue))
        n += begun(t) || t->priority > of->priority ||
             (t->priority == of->priority && t->id < of->id);
    return n;
}

void model_lane_judge(struct model *m, const struct m_queue *q)
{
    size_t n = m->tasks_n - m->open_from;
    enum lane_gate *gates = ARENA_ARRAY(&m->sim->memory, enum lane_gate, n);

    for (size_t i = 0; i < n; i++) {
        const struct m_task *t = m->tasks[m->open_from + i];

        gates[i] = t->gate;
        if (!judged(t, q))
            continue;
        gates[i] = q->key_concurrency == 0                        ? LANE_FREE
                   : begun(t) || ahead(m, t) < q->key_concurrency ? LANE_PLACE
                                                                  : LANE_WAITS;
    }
    for (size_t i = 0; i < n; i++) {
        struct m_task *t = m->tasks[m->open_from + i];

        t->gate = gates[i];
        if (t->queue == q && !q->fair)
            t->turn = 0;
    }
}
