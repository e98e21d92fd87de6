/* SPDX-License-Identifier: Apache-2.0 */
/* Runners that this server calls: their breakers, and what they are told beside stages. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/grpc.h"
#include "serve/dispatch_state.h"

static const struct breaker_policy policy = {
    .failures_max = DISPATCH_FAILURES,
    .open_us = DISPATCH_OPEN_US,
    .successes_min = 1,
};

static struct dispatch_runner *runner_of(struct list *link)
{
    return LIST_OF(link, struct dispatch_runner, link);
}

static uint64_t key_of(int64_t worker)
{
    return (uint64_t)worker;
}

struct dispatch_runner *dispatch_runner_need(struct dispatch *d, int64_t worker, struct str address,
                                             const char **ret_why)
{
    uint64_t key = key_of(worker), found;
    struct caller_peer *peer;
    struct dispatch_runner *r;

    if (map_get(d->by_worker, map_key(&key), &found))
        return (struct dispatch_runner *)(uintptr_t)found;
    if (d->o.wire.peer(d->o.wire.context, address, &peer, ret_why))
        return NULL;
    r = memory_new(sizeof(*r));
    r->dispatch = d;
    r->worker = worker;
    r->peer = peer;
    r->used_us = r->heard_us = clock_monotonic();
    map_add(d->by_worker, map_key(&key), (uintptr_t)r);
    list_add(&d->runners, &r->link);
    dispatch_count(d, DISPATCH_RUNNERS, 1);
    dispatch_want(d, r->heard_us + DISPATCH_PING_US);
    return r;
}

/* One that is left alone stands in a list that other threads look at. */
static void leave_alone(struct dispatch_runner *r, bool alone)
{
    struct dispatch *d = r->dispatch;
    size_t at = 0;

    dispatch_count(d, DISPATCH_BREAKERS_OPEN, alone ? 1 : -1);
    pthread_mutex_lock(&d->alone_lock);
    if (alone && d->alone_n == d->alone_cap) {
        d->alone_cap = d->alone_cap ? 2 * d->alone_cap : 8;
        d->alone = memory_grow(d->alone, d->alone_cap * sizeof(*d->alone));
    }
    if (alone) {
        d->alone[d->alone_n++] = r->worker;
    } else {
        while (d->alone[at] != r->worker)
            at++;
        d->alone[at] = d->alone[--d->alone_n];
    }
    pthread_mutex_unlock(&d->alone_lock);
}

static void runner_free(struct dispatch_runner *r)
{
    struct dispatch *d = r->dispatch;
    uint64_t key = key_of(r->worker);

    if (r->breaker.state != BREAKER_CLOSED)
        leave_alone(r, false);
    dispatch_count(d, DISPATCH_RUNNERS, -1);
    d->o.wire.leave(r->peer);
    map_del(d->by_worker, map_key(&key));
    list_del(&r->link);
    free(r);
}

void dispatch_runner_free_all(struct dispatch *d)
{
    LIST_EACH_SAFE(it, &d->runners)
    runner_free(runner_of(it));
}

/* ---- breakers ---- */

void dispatch_runner_told(struct dispatch_runner *r, bool healthy)
{
    struct dispatch *d = r->dispatch;
    bool was_closed = r->breaker.state == BREAKER_CLOSED, is_closed;
    int64_t now = clock_monotonic();

    breaker_move(&r->breaker, healthy ? BREAKER_EVENT_SUCCEED : BREAKER_EVENT_FAIL, &policy, now,
                 NULL);
    is_closed = r->breaker.state == BREAKER_CLOSED;
    r->heard_us = now;
    if (is_closed == was_closed) {
        if (!is_closed)
            dispatch_want(d, breaker_next_at(&r->breaker, &policy));
        return;
    }
    leave_alone(r, !is_closed);
    log_say(is_closed ? LOG_INFO : LOG_WARNING, is_closed ? "runner_answers" : "runner_left_alone",
            LOG_NUMBER("worker", r->worker));
    if (is_closed)
        dispatch_again(d);
    else
        dispatch_want(d, breaker_next_at(&r->breaker, &policy));
}

size_t dispatch_left_alone(struct dispatch *d, struct arena *a, const int64_t **ret)
{
    int64_t *list;
    size_t n;

    pthread_mutex_lock(&d->alone_lock);
    n = d->alone_n < GRANT_EXCLUDED_MAX ? d->alone_n : GRANT_EXCLUDED_MAX;
    *ret = list = ARENA_ARRAY(a, int64_t, n);
    for (size_t i = 0; i < n; i++)
        list[i] = d->alone[i];
    pthread_mutex_unlock(&d->alone_lock);
    return n;
}

/* ---- errands ---- */

/* One that does not know the method lives. */
static bool lives(const struct caller_call *c)
{
    return c->status == GRPC_OK || (c->sent && c->status == GRPC_UNIMPLEMENTED);
}

static void errand_done(struct caller_call *call)
{
    struct dispatch_errand *e = call->context;
    struct dispatch_runner *r = e->runner;
    struct dispatch *d = r->dispatch;

    r->errands--;
    d->errands_n--;
    if (e->ping) {
        r->pinging = false;
        dispatch_runner_told(r, lives(call));
    }
    arena_deinit(&e->arena);
    free(e);
    dispatch_close_if_over(d);
}

static void run(struct dispatch_runner *r, const char *path, bool ping, struct lease_ref lease,
                const char *reason)
{
    struct dispatch *d = r->dispatch;
    struct dispatch_errand *e = memory_new(sizeof(*e));

    e->runner = r;
    e->ping = ping;
    e->call = (struct caller_call){
        .path = path,
        .message = ping ? dispatch_call_ping(&e->arena, r->worker)
                        : dispatch_call_cancel(&e->arena, lease, reason),
        .deadline_us =
            clock_monotonic() + (d->draining ? DISPATCH_FAREWELL_US : DISPATCH_ERRAND_US),
        .done = errand_done,
        .context = e,
    };
    r->errands++;
    d->errands_n++;
    dispatch_count(d, ping ? DISPATCH_PINGS : DISPATCH_CANCELS, 1);
    d->o.wire.start(r->peer, &e->call);
}

void dispatch_runner_cancel(struct dispatch_runner *r, struct lease_ref lease, const char *reason)
{
    run(r, DISPATCH_CALL_CANCEL, false, lease, reason);
}

static void ping(struct dispatch_runner *r)
{
    r->pinging = true;
    run(r, DISPATCH_CALL_PING, true, (struct lease_ref){0}, NULL);
}

/* When it is to be asked for a sign of life. */
static int64_t ping_at(const struct dispatch_runner *r)
{
    if (r->pinging)
        return INT64_MAX;
    if (r->breaker.state != BREAKER_CLOSED)
        return breaker_next_at(&r->breaker, &policy);
    return r->flights ? INT64_MAX : r->heard_us + DISPATCH_PING_US;
}

int64_t dispatch_runner_look(struct dispatch *d, int64_t now_us)
{
    int64_t next = INT64_MAX;

    LIST_EACH_SAFE(it, &d->runners)
    {
        struct dispatch_runner *r = runner_of(it);
        bool idle = r->flights == 0 && r->errands == 0;

        if (idle && now_us >= r->used_us + DISPATCH_KNOWN_US) {
            runner_free(r);
            continue;
        }
        if (now_us >= ping_at(r) &&
            (r->breaker.state == BREAKER_CLOSED ||
             breaker_move(&r->breaker, BREAKER_EVENT_ASK, &policy, now_us, NULL) == 0))
            ping(r);
        if (ping_at(r) < next)
            next = ping_at(r);
    }
    return next;
}
