/* SPDX-License-Identifier: Apache-2.0 */
/* Runners hear which of their stages are to be cancelled: a walk over the leases of all servers. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serve/dispatch_state.h"

BATCHER_FUNCTION(run_cancels, grant_cancels)

static int by_token(const void *a, const void *b)
{
    const struct dispatch_told *x = a, *y = b;

    return (x->token > y->token) - (x->token < y->token);
}

/* When this lease's runner was told; 0: it was not. */
static int64_t told_at(const struct dispatch_tolds *before, int64_t token)
{
    const struct dispatch_told key = {.token = token};
    const struct dispatch_told *found =
        before->n ? bsearch(&key, before->list, before->n, sizeof(key), by_token) : NULL;

    return found ? found->at_us : 0;
}

static void told_add(struct dispatch_tolds *t, struct dispatch_told told)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->list = memory_grow(t->list, t->cap * sizeof(*t->list));
    }
    t->list[t->n++] = told;
}

static void tell_cancel(struct dispatch *d, const struct grant_cancel *c, int64_t now)
{
    struct dispatch_told told = {c->lease.token, told_at(&d->told, c->lease.token)};
    struct dispatch_flight *f = dispatch_flight_find(d, c->lease.token);
    struct dispatch_runner *r;
    const char *why;

    if (f) {
        dispatch_flight_stop(f);
    } else if (!told.at_us || now >= told.at_us + DISPATCH_STOP_US) {
        told.at_us = now;
        r = dispatch_runner_need(d, c->worker, c->address, &why);
        if (r)
            dispatch_runner_cancel(r, c->lease, "it was cancelled");
    }
    told_add(&d->telling, told);
}

/* The walk is over, or begins anew. */
static void cancels_end(struct dispatch *d, int64_t now)
{
    d->cancels_after = 0;
    d->cancels_us = now + DISPATCH_CANCELS_US;
    d->telling.n = 0;
}

/* One page of the walk; what heeds no Cancel fills pages without end. */
static void cancels_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;
    const struct grant_cancels *found = &d->cancels_found;
    int64_t now = clock_monotonic();

    if (q->answer.code != CODE_OK || d->draining) {
        cancels_end(d, now);
    } else {
        for (size_t i = 0; i < found->n; i++)
            tell_cancel(d, &found->list[i], now);
        if (found->n == GRANT_CANCELS_MAX) {
            d->cancels_after = found->list[found->n - 1].lease.token;
        } else {
            struct dispatch_tolds before = d->told;

            d->told = d->telling;
            d->telling = before;
            cancels_end(d, now);
        }
    }
    dispatch_answered(d, &d->cancels);
}

void dispatch_cancels_ask(struct dispatch *d, int64_t now)
{
    bool walking = d->cancels_after > 0;

    if ((!walking && !d->wants_cancels) || d->cancels.busy || d->draining)
        return;
    if (!walking && now < d->cancels_us) {
        dispatch_want(d, d->cancels_us);
        return;
    }
    /* News that come in the middle of a walk are for the next one. */
    d->wants_cancels &= walking;
    dispatch_ask(d, &d->cancels, NULL, run_cancels, &d->cancels_after, &d->cancels_found,
                 sizeof(d->cancels_found), cancels_done);
}
