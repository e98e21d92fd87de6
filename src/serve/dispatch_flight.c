/* SPDX-License-Identifier: Apache-2.0 */
/* Leases that this server calls for: how they begin, and how their calls end. */
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/memory.h"
#include "serve/dispatch_state.h"

void dispatch_flight_free(struct dispatch_flight *f)
{
    struct dispatch *d = f->dispatch;
    uint64_t key = (uint64_t)f->lease.token;

    dispatch_count(d, f->state == DISPATCH_FLIGHT_CALLING ? DISPATCH_CALLING : DISPATCH_TELLING,
                   -1);
    map_del(d->by_token, map_key(&key));
    list_del(&f->link);
    list_del(&f->queue);
    d->flights_n--;
    if (f->runner)
        f->runner->flights--;
    if (d->wants_round)
        dispatch_soon(d); /* there is room again */
    batcher_release(&f->request);
    arena_deinit(&f->arena);
    free(f);
}

struct dispatch_flight *dispatch_flight_find(struct dispatch *d, int64_t token)
{
    uint64_t key = (uint64_t)token, found;

    return map_get(d->by_token, map_key(&key), &found) ? (struct dispatch_flight *)(uintptr_t)found
                                                       : NULL;
}

void dispatch_flight_tell(struct dispatch_flight *f)
{
    struct dispatch *d = f->dispatch;
    struct list *to = f->end.what == DISPATCH_ACCEPT   ? &d->accepted
                      : f->end.what == DISPATCH_REFUSE ? &d->refused
                                                       : &d->ended;

    if (f->state == DISPATCH_FLIGHT_CALLING) {
        dispatch_count(d, DISPATCH_CALLING, -1);
        dispatch_count(d, DISPATCH_TELLING, 1);
    }
    f->state = DISPATCH_FLIGHT_TELLING;
    list_add(to, &f->queue);
    dispatch_soon(d);
}

static void count_end(struct dispatch *d, const struct dispatch_end *e)
{
    enum dispatch_count what = DISPATCH_COMPLETED;

    if (e->what == DISPATCH_ACCEPT)
        what = DISPATCH_ACCEPTED;
    else if (e->what == DISPATCH_REFUSE)
        what = e->reason == TASK_REASON_UNREACHABLE ? DISPATCH_UNREACHABLE : DISPATCH_REFUSED;
    else if (e->result.reason == TASK_REASON_BAD_REPORT)
        what = DISPATCH_BAD_REPORTS;
    else if (e->result.outcome == OUTCOME_LOST)
        what = DISPATCH_BROKEN;
    dispatch_count(d, what, 1);
}

static void call_done(struct caller_call *call)
{
    struct dispatch_flight *f = call->context;
    struct dispatch *d = f->dispatch;

    dispatch_call_judge(&f->arena, f->lease, f->mode, call, f->cut, &f->end);
    dispatch_runner_told(f->runner, f->end.healthy || f->lost);
    if (f->lost) {
        dispatch_flight_free(f);
        dispatch_close_if_over(d);
        return;
    }
    if (f->end.stop)
        dispatch_runner_cancel(f->runner, f->lease, "nobody waits for it any more");
    count_end(d, &f->end);
    dispatch_flight_tell(f);
}

/* Nobody was called. */
static void refuse(struct dispatch_flight *f, enum task_reason reason, struct str message)
{
    f->end = (struct dispatch_end){.what = DISPATCH_REFUSE, .reason = reason, .message = message};
    count_end(f->dispatch, &f->end);
    dispatch_flight_tell(f);
}

void dispatch_flight_begin(struct dispatch *d, const struct batcher_request *q,
                           const struct grant_lease *l)
{
    struct dispatch_flight *f = memory_new(sizeof(*f));
    uint64_t key = (uint64_t)l->lease.token;
    bool sync = l->mode == PLACEMENT_SYNC;
    const char *why = NULL;

    f->dispatch = d;
    f->lease = l->lease;
    f->mode = l->mode;
    list_init(&f->queue);
    list_add(&d->flights, &f->link);
    map_add(d->by_token, map_key(&key), (uintptr_t)f);
    d->flights_n++;
    dispatch_count(d, DISPATCH_GRANTS, 1);
    dispatch_count(d, DISPATCH_CALLING, 1);
    if (d->draining) {
        refuse(f, TASK_REASON_NONE, STR("the server that would have called it ends"));
        return;
    }
    f->runner = dispatch_runner_need(d, l->worker, l->address, &why);
    if (BROKEN(CALLED) && f->runner)
        f->runner = LIST_OF(d->runners.next, struct dispatch_runner, link);
    if (!f->runner) {
        refuse(f, TASK_REASON_UNREACHABLE,
               str_printf(&f->arena, "the address " STR_FMT " %s", STR_ARG(l->address), why));
        return;
    }
    f->runner->flights++;
    f->runner->used_us = clock_monotonic();
    f->call = (struct caller_call){
        .path = sync ? DISPATCH_CALL_RUN : DISPATCH_CALL_ASYNC,
        .message = dispatch_call_run(&f->arena, l, d->o.callback),
        .deadline_us = dispatch_monotonic(q, sync ? l->deadline_at : l->accept_by),
        .done = call_done,
        .context = f,
    };
    d->o.wire.start(f->runner->peer, &f->call);
    if (sync && d->keep_us == INT64_MAX) {
        d->keep_us = clock_monotonic() + DISPATCH_KEEP_US;
        dispatch_want(d, d->keep_us);
    }
}

void dispatch_flight_stop(struct dispatch_flight *f)
{
    if (f->stop_us || f->state != DISPATCH_FLIGHT_CALLING || !f->runner)
        return;
    f->stop_us = clock_monotonic() + DISPATCH_STOP_US;
    dispatch_want(f->dispatch, f->stop_us);
    dispatch_runner_cancel(f->runner, f->lease, "it was cancelled");
}

void dispatch_flight_lose(struct dispatch_flight *f)
{
    if (f->state != DISPATCH_FLIGHT_CALLING || f->lost)
        return;
    f->lost = true;
    dispatch_count(f->dispatch, DISPATCH_TAKEN_BACK, 1);
    dispatch_runner_cancel(f->runner, f->lease, "its lease was taken back");
    f->dispatch->o.wire.cancel(&f->call);
}

void dispatch_flight_cut(struct dispatch_flight *f, enum dispatch_cut why)
{
    if (f->state != DISPATCH_FLIGHT_CALLING || f->cut != DISPATCH_UNCUT)
        return;
    f->cut = why;
    f->dispatch->o.wire.cancel(&f->call);
}
