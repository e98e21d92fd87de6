/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of granting, leases that are kept, turns of the loop, and the end. */
#include "serve/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/dispatch_state.h"

#define STORE_REST_US CLOCK_S /* between rounds while the store is away */

BATCHER_FUNCTION(run_round, grant_round)
BATCHER_FUNCTION(run_keep, grant_keep)

/* ---- time ---- */

void dispatch_want(struct dispatch *d, int64_t at_us)
{
    int64_t left;

    if (d->closing || at_us >= d->armed_us)
        return;
    d->armed_us = at_us;
    left = at_us - clock_monotonic();
    loop_timer_start(&d->timer, left > 0 ? (uint64_t)(left / CLOCK_MS) + 1 : 1);
}

void dispatch_soon(struct dispatch *d)
{
    if (!d->closing)
        loop_wake(&d->soon);
}

void dispatch_again(struct dispatch *d)
{
    d->wants_round = true;
    dispatch_soon(d);
}

/* ---- requests ---- */

void dispatch_ask(struct dispatch *d, struct dispatch_post *p, const char *name,
                  batcher_function *function, const void *asked, void *found, size_t found_size,
                  void (*done)(struct batcher_request *q))
{
    p->busy = true;
    p->request = (struct batcher_request){
        .name = name,
        .function = function,
        .lane = BATCHER_OWN,
        .request = asked,
        .reply = found,
        .reply_size = found_size,
        .bytes = 100,
        .patience_us = BATCHER_FOR_EVER,
        .home = d->o.home,
        .done = done,
        .context = d,
    };
    batcher_post(d->o.writer, (struct batcher_request *[]){&p->request}, 1);
}

void dispatch_answered(struct dispatch *d, struct dispatch_post *p)
{
    p->busy = false;
    batcher_release(&p->request);
    arena_reset(&p->arena);
    dispatch_soon(d);
    dispatch_close_if_over(d);
}

/* ---- rounds ---- */

static void woken(struct hub_wait *w)
{
    struct dispatch *d = w->context;

    d->wants_cancels = true;
    dispatch_again(d);
}

static void rest(struct dispatch *d, const struct batcher_answer *answer)
{
    log_say(LOG_DEBUG, "dispatch_rests", LOG_TEXT("code", code_text(answer->code)),
            LOG_TEXT("text", answer->text));
    d->round_us = clock_monotonic() + STORE_REST_US;
    dispatch_again(d);
}

static void round_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;
    const struct grant_leases *found = &d->round_found;
    int64_t due = 0;

    if (q->answer.code != CODE_OK) {
        rest(d, &q->answer);
    } else {
        d->round_asked.turns = found->turns;
        arena_reset(&d->after);
        d->round_asked.after = str_copy(&d->after, found->after);
        for (size_t i = 0; i < found->n; i++)
            dispatch_flight_begin(d, q, &found->list[i]);
        if (found->more)
            dispatch_again(d);
        due = found->next_at ? dispatch_monotonic(q, found->next_at) : 0;
    }
    if (d->draining)
        hub_forget(&d->wait, 0);
    else if (!d->wants_round)
        hub_sleep(&d->wait, &(struct hub_found){.due_us = due});
    dispatch_answered(d, &d->round);
}

/* A round in which nothing is under way is asked for by whoever ends one. */
static void ask_round(struct dispatch *d)
{
    size_t room = DISPATCH_FLIGHTS_MAX - d->flights_n;
    int64_t now = clock_monotonic();

    if (!d->wants_round || d->round.busy || d->draining || room == 0)
        return;
    if (now < d->round_us) {
        dispatch_want(d, d->round_us);
        return;
    }
    d->wants_round = false;
    d->round_asked.excluded_n = dispatch_left_alone(d, &d->round.arena, &d->round_asked.excluded);
    d->round_asked.max = (int64_t)(room < GRANT_MAX ? room : GRANT_MAX);
    dispatch_count(d, DISPATCH_ROUNDS, 1);
    /* This look takes all news of before, those of cancels among them. */
    hub_look(&d->wait);
    d->wants_cancels = true;
    dispatch_ask(d, &d->round, DISPATCH_ASK_ROUND, run_round, &d->round_asked, &d->round_found,
                 sizeof(d->round_found), round_done);
}

/* ---- leases are kept ---- */

static void keep_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;

    for (size_t i = 0; q->answer.code == CODE_OK && i < d->keep_found.n; i++) {
        struct dispatch_flight *f = dispatch_flight_find(d, d->keep_asked.list[i].token);

        if (f && d->keep_found.list[i].code != CODE_OK)
            dispatch_flight_lose(f);
        else if (f && d->keep_found.list[i].stop)
            dispatch_flight_stop(f);
    }
    dispatch_answered(d, &d->keep);
}

static void ask_keep(struct dispatch *d, int64_t now)
{
    struct lease_ref *list;
    size_t n = 0;

    if (now < d->keep_us)
        return;
    d->keep_us = d->flights_n ? now + DISPATCH_KEEP_US : INT64_MAX;
    if (d->keep.busy)
        return;
    list = ARENA_ARRAY(&d->keep.arena, struct lease_ref, d->flights_n);
    LIST_EACH(it, &d->flights)
    if (dispatch_flight_of(it)->mode == PLACEMENT_SYNC)
        list[n++] = dispatch_flight_of(it)->lease;
    d->keep_asked = (struct grant_refs){list, n};
    if (n)
        dispatch_ask(d, &d->keep, DISPATCH_ASK_KEEP, run_keep, &d->keep_asked, &d->keep_found,
                     sizeof(d->keep_found), keep_done);
    else
        arena_reset(&d->keep.arena); /* what is asked is let go of with its answer */
}

/* ---- turns ---- */

static void turn(struct loop_handle *soon)
{
    struct dispatch *d = LIST_OF(soon, struct dispatch, soon);
    int64_t now = clock_monotonic();

    dispatch_tell_ended(d);
    dispatch_tell_accepted(d);
    dispatch_tell_refused(d);
    ask_round(d);
    dispatch_cancels_ask(d, now);
}

/* Calls whose time is over; returns when the next one is. */
static int64_t stops_due(struct dispatch *d, int64_t now)
{
    int64_t next = INT64_MAX;

    LIST_EACH_SAFE(it, &d->flights)
    {
        struct dispatch_flight *f = dispatch_flight_of(it);

        if (d->draining && now >= d->drain_us)
            dispatch_flight_cut(f, DISPATCH_ENDING);
        else if (f->stop_us && now >= f->stop_us)
            dispatch_flight_cut(f, DISPATCH_STOPPED);
        else if (f->stop_us && f->stop_us < next)
            next = f->stop_us;
    }
    return d->draining && d->drain_us > now && d->drain_us < next ? d->drain_us : next;
}

static void tick(struct loop_handle *timer)
{
    struct dispatch *d = LIST_OF(timer, struct dispatch, timer);
    int64_t now = clock_monotonic();

    d->armed_us = INT64_MAX;
    dispatch_want(d, stops_due(d, now));
    ask_keep(d, now);
    dispatch_want(d, d->keep_us);
    if (!d->draining) {
        dispatch_want(d, dispatch_runner_look(d, now));
        if (now >= d->look_us) {
            d->look_us = now + DISPATCH_KEEP_US;
            d->wants_cancels = true;
        }
        dispatch_want(d, d->look_us);
    }
    dispatch_soon(d);
    dispatch_close_if_over(d);
}

/* ---- lifetime ---- */

static void post_init(struct dispatch_post *p)
{
    list_init(&p->flights);
}

void dispatch_new(const struct dispatch_options *options, struct dispatch **ret)
{
    struct dispatch *d = memory_new(sizeof(*d));
    int r;

    d->o = *options;
    d->by_worker = map_new();
    d->by_token = map_new();
    pthread_mutex_init(&d->alone_lock, NULL);
    list_init(&d->runners);
    list_init(&d->flights);
    list_init(&d->accepted);
    list_init(&d->refused);
    list_init(&d->ended);
    post_init(&d->round);
    post_init(&d->accept);
    post_init(&d->refuse);
    post_init(&d->keep);
    post_init(&d->cancels);
    d->armed_us = d->keep_us = INT64_MAX;
    d->wait = (struct hub_wait){.seat = d->o.seat, .topic = HUB_PUSH, .woken = woken, .context = d};
    loop_timer_init(d->o.loop, &d->timer, tick);
    r = loop_wake_init(d->o.loop, &d->soon, turn);
    assert(r == 0);
    d->handles = 2;
    d->look_us = clock_monotonic() + DISPATCH_KEEP_US;
    dispatch_want(d, d->look_us);
    d->wants_cancels = true;
    dispatch_again(d);
    *ret = d;
}

static void handle_closed(struct dispatch *d)
{
    if (--d->handles)
        return;
    d->over(d->over_context); /* other threads may look at it until they have heard of this */
    map_free(d->by_worker);
    map_free(d->by_token);
    arena_deinit(&d->after);
    arena_deinit(&d->round.arena);
    arena_deinit(&d->accept.arena);
    arena_deinit(&d->refuse.arena);
    arena_deinit(&d->keep.arena);
    arena_deinit(&d->cancels.arena);
    free(d->told.list);
    free(d->telling.list);
    free(d->alone);
    pthread_mutex_destroy(&d->alone_lock);
    free(d);
}

static void timer_closed(struct loop_handle *h)
{
    handle_closed(LIST_OF(h, struct dispatch, timer));
}

static void soon_closed(struct loop_handle *h)
{
    handle_closed(LIST_OF(h, struct dispatch, soon));
}

void dispatch_close_if_over(struct dispatch *d)
{
    if (!d->draining || d->closing || d->flights_n || d->errands_n || d->completing ||
        d->round.busy || d->accept.busy || d->refuse.busy || d->keep.busy || d->cancels.busy)
        return;
    d->closing = true;
    hub_forget(&d->wait, 0);
    dispatch_runner_free_all(d);
    loop_close(&d->timer, timer_closed);
    loop_close(&d->soon, soon_closed);
}

void dispatch_drain(struct dispatch *d, int64_t grace_us, void (*over)(void *context),
                    void *context)
{
    assert(!d->draining);
    d->over = over;
    d->over_context = context;
    d->draining = true;
    d->drain_us = clock_monotonic() + grace_us;
    if (!d->round.busy)
        hub_forget(&d->wait, 0);
    dispatch_want(d, d->drain_us);
    dispatch_close_if_over(d);
}

void dispatch_stats(const struct dispatch *d, struct dispatch_stats *ret)
{
    for (size_t i = 0; i < DISPATCH_COUNT_N; i++)
        ret->n[i] = atomic_load_explicit(&d->counts[i], memory_order_relaxed);
}
