/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many processes there are, and which of them go.
 *
 * What lives counts, until its death is proven: `size` of them, up to `overflow` more while calls
 * wait, and one more for each that is being replaced, `start_batch` at most.
 */
#include <stdio.h>

#include "base/clock.h"
#include "core/retry.h"
#include "pool/pool_state.h"

static const struct retry_policy start_policy = {
    .max_attempts = RETRY_ATTEMPTS_MAX,
    .base_us = 100 * CLOCK_MS,
    .cap_us = 30 * CLOCK_S,
    .factor = 2,
    .jitter = 0.25,
    .outcomes = 1u << OUTCOME_FAILED,
};

static unsigned alive(const struct pool *p)
{
    return p->states[WORKER_JOINING] + p->states[WORKER_READY] + p->states[WORKER_SUSPECT] +
           p->states[WORKER_DRAINING] + p->states[WORKER_LOST];
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Processes that are due, and those that are on their way out. */
static unsigned replaced(struct pool *p, int64_t now)
{
    unsigned n = p->states[WORKER_DRAINING];

    LIST_EACH(it, &p->processes)
    {
        struct pool_process *w = POOL_PROCESS_OF(it);
        struct recycle_use use = {w->calls, now - w->asked_us, w->memory_bytes};

        if (w->state != WORKER_READY)
            continue;
        if (!w->recycle)
            w->recycle = recycle_due(&p->settings.recycle, &use, w->share);
        n += w->recycle != RECYCLE_NONE;
    }
    return least(n, p->settings.start_batch);
}

static void start_missing(struct pool *p, int64_t now)
{
    const struct pool_settings *s = &p->settings;
    unsigned waiting = least(p->lend.waiting, s->overflow);
    unsigned wanted = s->size + replaced(p, now);

    /* Each that starts will serve one of those that wait. */
    if (waiting > p->states[WORKER_JOINING])
        wanted += waiting;
    wanted = least(wanted, s->size + s->overflow + s->start_batch);
    while (alive(p) < wanted && p->states[WORKER_JOINING] < s->start_batch && now >= p->start_at_us)
        pool_process_start(p, now);
}

static void drain_due(struct pool *p, int64_t now)
{
    LIST_EACH_SAFE(it, &p->processes)
    {
        struct pool_process *w = POOL_PROCESS_OF(it);

        if (p->states[WORKER_READY] <= p->settings.size)
            return;
        if (w->state != WORKER_READY || !w->recycle)
            continue;
        p->counts.recycled++;
        pool_process_drain(p, w, "it is replaced by a fresh one", now);
    }
}

/* The youngest first: the oldest are the ones that are lent. */
static void drain_superfluous(struct pool *p, int64_t now)
{
    struct list *prev;

    for (struct list *it = p->processes.prev; it != &p->processes; it = prev) {
        struct pool_process *w = POOL_PROCESS_OF(it);

        prev = it->prev;
        if (p->states[WORKER_READY] <= p->settings.size)
            return;
        if (w->state != WORKER_READY || w->lent.used || w->lent.sessions_n)
            continue;
        if (now - w->idle_us >= p->settings.overflow_idle_us)
            pool_process_drain(p, w, "it was idle, and is not needed", now);
        else
            pool_process_wake(p, w, now);
    }
}

void pool_keep(struct pool *p, int64_t now)
{
    if (p->draining)
        return;
    start_missing(p, now);
    drain_due(p, now);
    if (p->lend.waiting == 0)
        drain_superfluous(p, now);
}

/* Where nothing lives that could serve them, those who wait are not left to it. */
static void give_up(struct pool *p)
{
    p->failing = p->failures >= POOL_START_FAILURES_MAX && p->states[WORKER_READY] == 0 &&
                 p->states[WORKER_SUSPECT] == 0;
    if (p->failing)
        pool_call_refuse_waiting(p, CODE_WORKER_INIT_FAILED, p->start_text);
}

void pool_keep_failed(struct pool *p, struct str why, int64_t now)
{
    int64_t wait_us = 0;
    int64_t attempt = ++p->failures < 30 ? p->failures : 30;

    snprintf(p->start_text, sizeof(p->start_text), "no process could be started: " STR_FMT,
             STR_ARG(why));
    retry_decide(&start_policy, attempt, OUTCOME_FAILED, 0, &p->prng, &wait_us);
    p->start_at_us = now + wait_us;
    give_up(p);
}

void pool_keep_joined(struct pool *p)
{
    p->failures = 0;
    p->failing = false;
    p->start_at_us = 0;
}
