/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/retry.h"
#include "net/caller_state.h"
#include "net/grpc.h"

#define TRIES_MAX  3u /* of a call that nobody has begun */
#define PASSES_MAX 8u /* of a turn, before the loop polls again */

/* ---- lists of what is to be done ---- */

void caller_wake_link(struct caller_link *l)
{
    if (list_empty(&l->woken))
        list_add(&l->caller->woken_links, &l->woken);
}

void caller_wake_peer(struct caller_peer *p)
{
    if (list_empty(&p->woken))
        list_add(&p->caller->woken_peers, &p->woken);
}

static void on_timer(uv_timer_t *timer);

void caller_want(struct caller *c, int64_t at_us)
{
    int64_t left;

    if (at_us >= c->armed_us || c->closing)
        return;
    c->armed_us = at_us;
    left = at_us - clock_monotonic();
    uv_timer_start(&c->timer, on_timer, left > 0 ? (uint64_t)(left / CLOCK_MS) + 1 : 1, 0);
}

/* ---- calls ---- */

void caller_done(struct caller_call *call)
{
    struct caller *c = call->peer->caller;

    assert(!call->link);
    list_del(&call->turn);
    list_del(&call->all);
    list_add(&c->ended, &call->all);
    call->deadline_us = INT64_MAX;
    call->peer->calls_n--;
    c->counts.open--;
    caller_wake_peer(call->peer);
}

static void done(struct caller_call *call, int status, struct str text)
{
    caller_h2_answer(call, status, text);
    caller_done(call);
}

/* "127.0.0.1:80: connection refused" */
static void unreachable(struct caller_call *call, const char *why)
{
    char text[CALLER_TEXT_BYTES_MAX];

    snprintf(text, sizeof(text), "%s cannot be called: %s", call->peer->text, why);
    done(call, GRPC_UNAVAILABLE, str_of(text));
}

void caller_again(struct caller_call *call, const char *why)
{
    struct caller_peer *p = call->peer;

    if (++call->tries == TRIES_MAX || p->caller->closing) {
        unreachable(call, why);
        return;
    }
    list_add(p->queue.next, &call->turn);
    caller_wake_peer(p);
}

/* It leaves whatever it is in, before its answer. */
static void give_up(struct caller_call *call, int status, struct str text)
{
    if (call->link)
        caller_link_drop(call->link, call);
    done(call, status, text);
}

void caller_cancel(struct caller_call *call)
{
    /* In no list but that of those which have ended, its `done` is due. */
    if (call->peer && (call->link || !list_empty(&call->turn)))
        give_up(call, GRPC_CANCELLED, STR("the call was cancelled"));
}

void caller_start(struct caller_peer *p, struct caller_call *call)
{
    struct caller *c = p->caller;

    call->peer = p;
    call->link = NULL;
    call->tries = 0;
    call->stream = 0;
    call->sent = false;
    list_init(&call->turn);
    list_add(&c->calls, &call->all);
    grpc_frame_init(&call->in, 0);
    c->counts.calls++;
    c->counts.open++;
    p->calls_n++;
    if (c->closing) {
        done(call, GRPC_CANCELLED, STR("the caller ends"));
    } else if (call->message.n > c->o.message_bytes_max) {
        done(call, GRPC_RESOURCE_EXHAUSTED, STR("the request is larger than what is allowed"));
    } else if (p->calls_n > c->o.calls_max) {
        done(call, GRPC_RESOURCE_EXHAUSTED, STR("too many calls wait for this address"));
    } else {
        list_add(&p->queue, &call->turn);
        caller_want(c, call->deadline_us);
        caller_wake_peer(p);
    }
}

/* ---- peers ---- */

static struct caller_call *first(struct caller_peer *p)
{
    return LIST_OF(p->queue.next, struct caller_call, turn);
}

static void peer_free(struct caller_peer *p)
{
    map_del(p->caller->peers, str_of(p->text));
    list_del(&p->woken);
    list_del(&p->all);
    free(p->text);
    free(p);
}

/* Whether nobody needs it. */
static bool peer_is_idle(const struct caller_peer *p)
{
    return p->holders == 0 && p->calls_n == 0;
}

static void peer_connect(struct caller_peer *p)
{
    if (clock_monotonic() >= p->rest_until_us) {
        caller_link_new(p);
        return;
    }
    while (!list_empty(&p->queue))
        unreachable(first(p), p->why);
}

static void peer_turn(struct caller_peer *p)
{
    if (!p->link && !list_empty(&p->queue))
        peer_connect(p);
    while (p->link && !list_empty(&p->queue) && caller_link_has_room(p->link)) {
        struct caller_call *call = first(p);

        list_del(&call->turn);
        caller_link_begin(p->link, call);
    }
    if (p->link && peer_is_idle(p))
        caller_link_end(p->link);
    if (peer_is_idle(p) && p->links_n == 0)
        peer_free(p);
}

/* The more often it failed in a row, the longer it rests. */
static void rest(struct caller_peer *p, const char *why)
{
    static const struct retry_policy policy = {
        .max_attempts = RETRY_ATTEMPTS_MAX,
        .base_us = CALLER_REST_US_MIN,
        .cap_us = CALLER_REST_US_MAX,
        .factor = 2,
        .jitter = 0.25,
        .outcomes = 1u << OUTCOME_FAILED,
    };
    int64_t us = 0;

    if (p->failures < RETRY_ATTEMPTS_MAX - 1)
        p->failures++;
    retry_decide(&policy, p->failures, OUTCOME_FAILED, 0, &p->caller->prng, &us);
    p->rest_until_us = clock_monotonic() + us;
    snprintf(p->why, sizeof(p->why), "%s", why);
    while (!list_empty(&p->queue))
        unreachable(first(p), why);
}

void caller_link_lost(struct caller_link *l, bool well, const char *why)
{
    struct caller_peer *p = l->peer;

    if (!well)
        l->caller->counts.failed++;
    if (p->link != l)
        return;
    p->link = NULL;
    if (!well)
        rest(p, why);
    caller_wake_peer(p);
}

void caller_link_gone(struct caller_link *l)
{
    l->peer->links_n--;
    l->caller->counts.links--;
    caller_wake_peer(l->peer);
    caller_closed(l->caller);
}

int caller_peer(struct caller *c, struct str address, struct caller_peer **ret,
                const char **ret_why)
{
    struct caller_address parsed;
    struct caller_peer *p;
    uint64_t known;

    if (map_get(c->peers, address, &known)) {
        *ret = (struct caller_peer *)(uintptr_t)known;
        (*ret)->holders++;
        return 0;
    }
    if (caller_address_parse(address, &parsed, ret_why))
        return CALLER_E_BAD;
    p = memory_new(sizeof(*p));
    p->caller = c;
    p->address = parsed;
    p->text = memory_new(address.n + 1);
    memcpy(p->text, address.p, address.n);
    snprintf(p->authority, sizeof(p->authority), strchr(parsed.host, ':') ? "[%s]:%s" : "%s:%s",
             parsed.host, parsed.port);
    p->holders = 1;
    list_init(&p->woken);
    list_init(&p->queue);
    list_add(&c->all_peers, &p->all);
    map_add(c->peers, address, (uintptr_t)p);
    *ret = p;
    return 0;
}

void caller_leave(struct caller_peer *p)
{
    assert(p->holders);
    p->holders--;
    caller_wake_peer(p);
}

/* ---- turns ---- */

static void tell(struct caller *c)
{
    struct list mine;

    list_init(&mine);
    list_move(&mine, &c->ended);
    while (!list_empty(&mine)) {
        struct caller_call *call = LIST_OF(mine.next, struct caller_call, all);
        struct grpc_frame in = call->in; /* the call's owner may free it */

        list_del(&call->all);
        call->peer = NULL;
        call->done(call);
        grpc_frame_deinit(&in);
    }
}

static bool something_waits(const struct caller *c)
{
    return !list_empty(&c->woken_peers) || !list_empty(&c->woken_links) || !list_empty(&c->ended);
}

/* Whoever is woken meanwhile has the next pass. */
static void pass(struct caller *c)
{
    struct list peers, links;

    list_init(&peers);
    list_init(&links);
    list_move(&peers, &c->woken_peers);
    LIST_EACH_SAFE(it, &peers)
    {
        list_del(it);
        peer_turn(LIST_OF(it, struct caller_peer, woken));
    }
    caller_name_turn(&c->names);
    list_move(&links, &c->woken_links);
    LIST_EACH_SAFE(it, &links)
    {
        list_del(it);
        caller_link_turn(LIST_OF(it, struct caller_link, woken));
    }
    tell(c);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it only keeps the loop from waiting */
}

/* What is left has its turn after the next look at the sockets. */
static void turn(struct caller *c)
{
    assert(!c->in_turn);
    c->in_turn = true;
    for (unsigned i = 0; i < PASSES_MAX && something_waits(c); i++)
        pass(c);
    c->in_turn = false;
    if (something_waits(c))
        uv_idle_start(&c->idle, on_idle);
    else
        uv_idle_stop(&c->idle);
    caller_closed(c);
}

static void on_before(uv_prepare_t *before)
{
    turn(before->data);
}

static void on_after(uv_check_t *after)
{
    turn(after->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct caller *c = timer->data;
    int64_t now = clock_monotonic();

    c->armed_us = INT64_MAX;
    LIST_EACH_SAFE(it, &c->calls)
    {
        struct caller_call *call = LIST_OF(it, struct caller_call, all);

        if (call->deadline_us <= now)
            give_up(call, GRPC_DEADLINE_EXCEEDED, STR("the deadline has passed"));
        else
            caller_want(c, call->deadline_us);
    }
    LIST_EACH_SAFE(it, &c->links)
    {
        struct caller_link *l = LIST_OF(it, struct caller_link, all);

        caller_link_tick(l, now);
        caller_want(c, caller_link_deadline(l));
    }
}

/* ---- lifetime ---- */

static void defaults(struct caller_options *o)
{
    o->calls_max = o->calls_max ? o->calls_max : CALLER_CALLS_MAX;
    o->message_bytes_max = o->message_bytes_max ? o->message_bytes_max : CALLER_MESSAGE_BYTES_MAX;
    o->connect_us = o->connect_us ? o->connect_us : CALLER_CONNECT_US;
    o->ping_us = o->ping_us ? o->ping_us : CALLER_PING_US;
    o->pong_us = o->pong_us ? o->pong_us : CALLER_PONG_US;
    o->idle_us = o->idle_us ? o->idle_us : CALLER_IDLE_US;
}

static void handles_init(struct caller *c)
{
    uv_timer_init(c->o.loop, &c->timer);
    uv_prepare_init(c->o.loop, &c->before);
    uv_check_init(c->o.loop, &c->after);
    uv_idle_init(c->o.loop, &c->idle);
    caller_name_init(&c->names, c->o.loop);
    c->timer.data = c->before.data = c->after.data = c->idle.data = c->names.told.data = c;
    c->handles = 5;
    uv_prepare_start(&c->before, on_before);
    uv_check_start(&c->after, on_after);
    uv_unref((uv_handle_t *)&c->before);
    uv_unref((uv_handle_t *)&c->after);
    uv_unref((uv_handle_t *)&c->timer);
}

static bool has_files(const struct caller_options *o)
{
    return o->files && (o->files->ca || o->files->certificate || o->files->key);
}

/* The machine's authorities are a few megabytes, which are read when somebody needs them. */
struct caller_tls *caller_tls_of(struct caller *c)
{
    struct arena a = {0};
    struct str error;
    int r = c->tls ? 0 : caller_tls_new(NULL, &a, &c->tls, &error);

    assert(r == 0); /* without files nothing can be wrong with them */
    arena_deinit(&a);
    return c->tls;
}

int caller_new(const struct caller_options *options, struct arena *a, struct caller **ret,
               struct str *ret_error)
{
    struct caller *c;
    struct caller_tls *tls = NULL;

    if (has_files(options) && caller_tls_new(options->files, a, &tls, ret_error))
        return CALLER_E_BAD;
    c = memory_new(sizeof(*c));
    c->o = *options;
    defaults(&c->o);
    c->tls = tls;
    c->peers = map_new();
    c->armed_us = INT64_MAX;
    list_init(&c->calls);
    list_init(&c->all_peers);
    list_init(&c->ended);
    list_init(&c->links);
    list_init(&c->woken_links);
    list_init(&c->woken_peers);
    prng_seed(&c->prng, options->seed);
    buf_fixed(&c->out, c->out_bytes, sizeof(c->out_bytes));
    handles_init(c);
    *ret = c;
    return 0;
}

int caller_reload(struct caller *c, struct arena *a, struct str *ret_error)
{
    struct caller_tls *tls;

    if (!c->tls)
        return 0;
    if (caller_tls_new(c->o.files, a, &tls, ret_error))
        return CALLER_E_BAD;
    caller_tls_free(c->tls);
    c->tls = tls;
    return 0;
}

const struct caller_counts *caller_counts(const struct caller *c)
{
    return &c->counts;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct caller *c = handle->data;

    if (--c->handles)
        return;
    assert(map_count(c->peers) == 0);
    map_free(c->peers);
    caller_tls_free(c->tls);
    c->over(c->over_context);
    free(c);
}

void caller_closed(struct caller *c)
{
    if (!c->closing || c->in_turn || c->sockets_n || map_count(c->peers) ||
        !list_empty(&c->ended) || uv_is_closing((uv_handle_t *)&c->timer))
        return;
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->before, on_handle_closed);
    uv_close((uv_handle_t *)&c->after, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
    caller_name_close(&c->names, on_handle_closed);
}

void caller_close(struct caller *c, void (*over)(void *context), void *context)
{
    assert(!c->closing);
    c->over = over;
    c->over_context = context;
    while (!list_empty(&c->calls))
        give_up(LIST_OF(c->calls.next, struct caller_call, all), GRPC_CANCELLED,
                STR("the caller ends"));
    c->closing = true;
    LIST_EACH_SAFE(it, &c->links)
    caller_link_end(LIST_OF(it, struct caller_link, all));
    LIST_EACH(it, &c->all_peers)
    {
        struct caller_peer *p = LIST_OF(it, struct caller_peer, all);

        p->holders = 0;
        caller_wake_peer(p);
    }
    uv_idle_start(&c->idle, on_idle);
}
