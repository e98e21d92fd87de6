/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/dispatch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/api.h"
#include "serve/dispatch_state.h"

#define STORE_REST_US CLOCK_S /* between rounds while the store is away */
#define TRIES_MAX     3u      /* of a completion that the store does not take */

BATCHER_FUNCTION(run_round, grant_round)
BATCHER_FUNCTION(run_accept, grant_accept)
BATCHER_FUNCTION(run_refuse, grant_refuse)
BATCHER_FUNCTION(run_keep, grant_keep)
BATCHER_FUNCTION(run_cancels, grant_cancels)
BATCHER_FUNCTION(run_complete, task_complete)
BATCHER_MANY(many_complete, task_complete_many)

static struct dispatch_flight *flight_of(struct list *link)
{
    return LIST_OF(link, struct dispatch_flight, link);
}

static struct dispatch_flight *queued(struct list *link)
{
    return LIST_OF(link, struct dispatch_flight, queue);
}

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

/* What is to be posted is, once for all that came in this turn of the loop. */
static void post_soon(struct dispatch *d)
{
    if (!d->closing)
        loop_wake(&d->soon);
}

void dispatch_again(struct dispatch *d)
{
    d->wants_round = true;
    post_soon(d);
}

/* ---- requests ---- */

/* `name`: NULL: it changes nothing. */
static void post(struct dispatch *d, struct dispatch_post *p, const char *name,
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

static void close_if_over(struct dispatch *d);

static void posted(struct dispatch *d, struct dispatch_post *p)
{
    p->busy = false;
    batcher_release(&p->request);
    arena_reset(&p->arena);
    post_soon(d);
    close_if_over(d);
}

/* ---- flights ---- */

static void flight_free(struct dispatch_flight *f)
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
        post_soon(d); /* there is room again */
    batcher_release(&f->request);
    arena_deinit(&f->arena);
    free(f);
}

static struct dispatch_flight *flight_find(struct dispatch *d, int64_t token)
{
    uint64_t key = (uint64_t)token, found;

    return map_get(d->by_token, map_key(&key), &found) ? (struct dispatch_flight *)(uintptr_t)found
                                                       : NULL;
}

static void tell(struct dispatch_flight *f)
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
    post_soon(d);
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
        flight_free(f);
        close_if_over(d);
        return;
    }
    if (f->end.stop)
        dispatch_runner_cancel(f->runner, f->lease, "nobody waits for it any more");
    count_end(d, &f->end);
    tell(f);
}

/* What the engine knows of time, on this machine's monotonic clock. */
static int64_t monotonic_of(const struct batcher_request *q, int64_t at)
{
    return at ? q->begun_us + (at - q->now) : INT64_MAX;
}

/* Nobody was called. */
static void refuse(struct dispatch_flight *f, enum task_reason reason, struct str message)
{
    f->end = (struct dispatch_end){.what = DISPATCH_REFUSE, .reason = reason, .message = message};
    count_end(f->dispatch, &f->end);
    tell(f);
}

/* A lease was granted, and its runner is called. */
static void begin(struct dispatch *d, const struct batcher_request *q, const struct grant_lease *l)
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
        .deadline_us = monotonic_of(q, sync ? l->deadline_at : l->accept_by),
        .done = call_done,
        .context = f,
    };
    d->o.wire.start(f->runner->peer, &f->call);
    if (sync && d->keep_us == INT64_MAX) {
        d->keep_us = clock_monotonic() + DISPATCH_KEEP_US;
        dispatch_want(d, d->keep_us);
    }
}

/* The runner hears of it, and has some time to answer. */
static void stop(struct dispatch_flight *f)
{
    if (f->stop_us || f->state != DISPATCH_FLIGHT_CALLING || !f->runner)
        return;
    f->stop_us = clock_monotonic() + DISPATCH_STOP_US;
    dispatch_want(f->dispatch, f->stop_us);
    dispatch_runner_cancel(f->runner, f->lease, "it was cancelled");
}

/* The lease is not ours any more; whoever works on it stops. */
static void lose(struct dispatch_flight *f)
{
    if (f->state != DISPATCH_FLIGHT_CALLING || f->lost)
        return;
    f->lost = true;
    dispatch_count(f->dispatch, DISPATCH_TAKEN_BACK, 1);
    dispatch_runner_cancel(f->runner, f->lease, "its lease was taken back");
    f->dispatch->o.wire.cancel(&f->call);
}

static void cut(struct dispatch_flight *f, enum dispatch_cut why)
{
    if (f->state != DISPATCH_FLIGHT_CALLING || f->cut != DISPATCH_UNCUT)
        return;
    f->cut = why;
    f->dispatch->o.wire.cancel(&f->call);
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
            begin(d, q, &found->list[i]);
        if (found->more)
            dispatch_again(d);
        due = found->next_at ? monotonic_of(q, found->next_at) : 0;
    }
    if (d->draining)
        hub_forget(&d->wait, 0);
    else if (!d->wants_round)
        hub_sleep(&d->wait, &(struct hub_found){.due_us = due});
    posted(d, &d->round);
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
    post(d, &d->round, DISPATCH_ASK_ROUND, run_round, &d->round_asked, &d->round_found,
         sizeof(d->round_found), round_done);
}

/* ---- acceptances and refusals ---- */

/* Take the flights that wait, up to what a request may name, into a post. What was refused together
 * with others is asked for again alone: one of them may be what the store cannot take. */
static size_t take(struct list *from, struct dispatch_post *p)
{
    size_t n = 0;

    LIST_EACH_SAFE(it, from)
    {
        bool alone = queued(it)->tries > 0;

        if (n == GRANT_LEASES_MAX || (n && alone))
            break;
        list_del(it);
        list_add(&p->flights, it);
        n++;
        if (alone)
            break;
    }
    return n;
}

/* Whether the store is asked again; `code` is what it said of all of the request. */
static bool again(struct dispatch_flight *f, enum code code)
{
    if (code == CODE_OK || ++f->tries == TRIES_MAX)
        return false;
    list_del(&f->queue);
    tell(f);
    return true;
}

static void accept_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;
    size_t i = 0;

    LIST_EACH_SAFE(it, &d->accept.flights)
    {
        struct dispatch_flight *f = queued(it);
        enum code code = q->answer.code;

        if (code == CODE_OK)
            code = d->accept_codes.list[i++];
        if (again(f, q->answer.code))
            continue;
        /* One whose acceptance is not known is given back at its accept deadline. */
        if (code != CODE_OK)
            dispatch_runner_cancel(f->runner, f->lease, "its lease was taken back");
        flight_free(f);
    }
    posted(d, &d->accept);
}

static void ask_accept(struct dispatch *d)
{
    struct dispatch_post *p = &d->accept;
    struct lease_ref *list;
    size_t n = 0;

    if (p->busy || list_empty(&d->accepted))
        return;
    list = ARENA_ARRAY(&p->arena, struct lease_ref, take(&d->accepted, p));
    LIST_EACH(it, &p->flights)
    list[n++] = queued(it)->lease;
    d->accept_asked = (struct grant_refs){list, n};
    post(d, p, DISPATCH_ASK_ACCEPT, run_accept, &d->accept_asked, &d->accept_codes,
         sizeof(d->accept_codes), accept_done);
}

static void refuse_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;

    LIST_EACH_SAFE(it, &d->refuse.flights)
    {
        struct dispatch_flight *f = queued(it);

        /* What nobody could give back expires. */
        if (!again(f, q->answer.code))
            flight_free(f);
    }
    posted(d, &d->refuse);
}

static void ask_refuse(struct dispatch *d)
{
    struct dispatch_post *p = &d->refuse;
    struct grant_refusal *list;
    size_t n = 0;

    if (p->busy || list_empty(&d->refused))
        return;
    list = ARENA_ARRAY(&p->arena, struct grant_refusal, take(&d->refused, p));
    LIST_EACH(it, &p->flights)
    {
        const struct dispatch_flight *f = queued(it);

        list[n++] = (struct grant_refusal){f->lease, f->end.reason, f->end.message};
    }
    d->refuse_asked = (struct grant_refuse){list, n};
    post(d, p, DISPATCH_ASK_REFUSE, run_refuse, &d->refuse_asked, &d->refuse_codes,
         sizeof(d->refuse_codes), refuse_done);
}

/* ---- completions ---- */

static void complete(struct dispatch_flight *f)
{
    struct dispatch *d = f->dispatch;

    batcher_release(&f->request);
    f->tries++;
    f->complete = (struct task_complete){&f->end.result, 1};
    f->request = (struct batcher_request){
        .name = DISPATCH_ASK_COMPLETE,
        .function = run_complete,
        .many = many_complete,
        .turn = API_TURN_END,
        .lane = BATCHER_OWN,
        .request = &f->complete,
        .reply = &f->codes,
        .reply_size = sizeof(f->codes),
        .bytes = 200 + f->end.result.output.n,
        .patience_us = BATCHER_FOR_EVER,
        .home = d->o.home,
        .context = f,
    };
    d->completing++;
}

/* Why the store does not take the completion; OK: it did, or has another one already. */
static enum code judge_complete(const struct dispatch_flight *f, struct str *ret_text)
{
    enum code code = f->request.answer.code;

    *ret_text = f->request.answer.text;
    if (code != CODE_OK)
        return code == CODE_STORE_UNAVAILABLE ? CODE_OK : code;
    code = f->codes.list[0];
    *ret_text = code_text(code);
    return code == CODE_LEASE_LOST || code == CODE_COMPLETION_CONFLICT ? CODE_OK : code;
}

static void complete_done(struct batcher_request *q)
{
    struct dispatch_flight *f = q->context;
    struct dispatch *d = f->dispatch;
    struct str text;
    enum code code = judge_complete(f, &text);

    d->completing--;
    if (code == CODE_OK || f->tries == TRIES_MAX) {
        flight_free(f);
    } else {
        dispatch_call_bad(&f->arena, f->lease, text, &f->end.result);
        dispatch_count(d, DISPATCH_BAD_REPORTS, 1);
        tell(f);
    }
    close_if_over(d);
}

static void ask_complete(struct dispatch *d)
{
    struct batcher_request *list[BATCHER_REQUESTS_MAX];
    size_t n = 0;

    LIST_EACH_SAFE(it, &d->ended)
    {
        struct dispatch_flight *f = queued(it);

        if (n == BATCHER_REQUESTS_MAX) {
            post_soon(d);
            break;
        }
        list_del(it);
        complete(f);
        f->request.done = complete_done;
        list[n++] = &f->request;
    }
    if (n)
        batcher_post_each(d->o.writer, list, n);
}

/* ---- leases are kept ---- */

static void keep_done(struct batcher_request *q)
{
    struct dispatch *d = q->context;

    for (size_t i = 0; q->answer.code == CODE_OK && i < d->keep_found.n; i++) {
        struct dispatch_flight *f = flight_find(d, d->keep_asked.list[i].token);

        if (f && d->keep_found.list[i].code != CODE_OK)
            lose(f);
        else if (f && d->keep_found.list[i].stop)
            stop(f);
    }
    posted(d, &d->keep);
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
    if (flight_of(it)->mode == PLACEMENT_SYNC)
        list[n++] = flight_of(it)->lease;
    d->keep_asked = (struct grant_refs){list, n};
    if (n)
        post(d, &d->keep, DISPATCH_ASK_KEEP, run_keep, &d->keep_asked, &d->keep_found,
             sizeof(d->keep_found), keep_done);
}

/* ---- what is to be cancelled ---- */

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
    struct dispatch_flight *f = flight_find(d, c->lease.token);
    struct dispatch_runner *r;
    const char *why;

    if (f) {
        stop(f);
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
    posted(d, &d->cancels);
}

static void ask_cancels(struct dispatch *d, int64_t now)
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
    post(d, &d->cancels, NULL, run_cancels, &d->cancels_after, &d->cancels_found,
         sizeof(d->cancels_found), cancels_done);
}

/* ---- turns ---- */

static void turn(struct loop_handle *soon)
{
    struct dispatch *d = LIST_OF(soon, struct dispatch, soon);
    int64_t now = clock_monotonic();

    ask_complete(d);
    ask_accept(d);
    ask_refuse(d);
    ask_round(d);
    ask_cancels(d, now);
}

/* Calls whose time is over; returns when the next one is. */
static int64_t stops_due(struct dispatch *d, int64_t now)
{
    int64_t next = INT64_MAX;

    LIST_EACH_SAFE(it, &d->flights)
    {
        struct dispatch_flight *f = flight_of(it);

        if (d->draining && now >= d->drain_us)
            cut(f, DISPATCH_ENDING);
        else if (f->stop_us && now >= f->stop_us)
            cut(f, DISPATCH_STOPPED);
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
    post_soon(d);
    close_if_over(d);
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
    d->over(d->over_context);
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

static void close_if_over(struct dispatch *d)
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

void dispatch_errand_over(struct dispatch *d)
{
    close_if_over(d);
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
    close_if_over(d);
}

void dispatch_stats(const struct dispatch *d, struct dispatch_stats *ret)
{
    for (size_t i = 0; i < DISPATCH_COUNT_N; i++)
        ret->n[i] = atomic_load_explicit(&d->counts[i], memory_order_relaxed);
}
