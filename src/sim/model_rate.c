/* SPDX-License-Identifier: Apache-2.0 */
/* The model's rates, counted in thousand-millionths of a claim, so that nothing is rounded. */
#include <assert.h>

#include "sim/model_rows.h"

#define CLAIM 1000000000LL
/* The engine counts in millionths, and drops less than one whenever it writes that down. */
#define DROPPED 1000

static int64_t holds(const struct m_queue *q)
{
    return (q->burst ? q->burst : (q->rate_milli + 999) / 1000) * CLAIM;
}

void model_rate_set(struct m_queue *q, int64_t rate_milli, int64_t burst)
{
    bool first = q->rate_milli == 0 && q->rate_at == 0;

    if (q->rate_milli == rate_milli && q->burst == burst)
        return;
    q->rate_milli = rate_milli;
    q->burst = burst;
    /* What an earlier rate has left is anything from nothing to all that fits. */
    q->rate_most = holds(q);
    q->rate_least = first ? holds(q) : 0;
}

static int64_t filled(const struct m_queue *q, int64_t level, int64_t passed_us)
{
    int64_t more = level + passed_us * q->rate_milli;

    return more < holds(q) ? more : holds(q);
}

void model_rate_look(struct m_queue *q, int64_t now, int64_t *ret_most, int64_t *ret_least)
{
    *ret_most = *ret_least = INT64_MAX;
    if (!q->rate_milli)
        return;
    if (now > q->rate_at) {
        int64_t passed_us = q->rate_at ? now - q->rate_at : 0;

        q->rate_most = filled(q, q->rate_most, passed_us);
        q->rate_least = filled(q, q->rate_least, passed_us);
        q->rate_at = now;
    }
    *ret_most = q->rate_most / CLAIM;
    *ret_least = q->rate_least / CLAIM;
}

void model_rate_spend(struct m_queue *q, int64_t n)
{
    if (!q->rate_milli || n == 0)
        return;
    assert(q->rate_most >= n * CLAIM);
    q->rate_most -= n * CLAIM;
    q->rate_least -= n * CLAIM + DROPPED;
    if (q->rate_least < 0)
        q->rate_least = 0;
}
