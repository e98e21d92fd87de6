/* SPDX-License-Identifier: Apache-2.0 */
#include "net/caller_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "net/caller_socket.h"
#include "net/caller_state.h"

#define LIVED_US CLOCK_S /* a connection that held so long was a good one */

/* ---- states ---- */

enum when { ALWAYS, WITH_TLS, PLAIN };

static const struct move {
    enum caller_link_state from;
    enum caller_link_event event;
    enum when when;
    enum caller_link_state to;
} moves[] = {
    {CALLER_LINK_RESOLVING,  CALLER_LINK_EVENT_RESOLVED,  ALWAYS,   CALLER_LINK_CONNECTING},
    {CALLER_LINK_CONNECTING, CALLER_LINK_EVENT_CONNECTED, WITH_TLS, CALLER_LINK_SHAKING   },
    {CALLER_LINK_CONNECTING, CALLER_LINK_EVENT_CONNECTED, PLAIN,    CALLER_LINK_GREETING  },
    {CALLER_LINK_SHAKING,    CALLER_LINK_EVENT_SHAKEN,    ALWAYS,   CALLER_LINK_GREETING  },
    {CALLER_LINK_GREETING,   CALLER_LINK_EVENT_GREETED,   ALWAYS,   CALLER_LINK_OPEN      },
    {CALLER_LINK_OPEN,       CALLER_LINK_EVENT_GOING,     ALWAYS,   CALLER_LINK_DRAINING  },
};

enum caller_link_state caller_link_next(enum caller_link_state s, enum caller_link_event e,
                                        bool tls)
{
    if (e == CALLER_LINK_EVENT_FAILED || e == CALLER_LINK_EVENT_ENDED)
        return CALLER_LINK_OVER;
    for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++)
        if (moves[i].from == s && moves[i].event == e &&
            (moves[i].when == ALWAYS || (moves[i].when == WITH_TLS) == tls))
            return moves[i].to;
    return s;
}

struct str caller_link_state_text(enum caller_link_state s)
{
#define CALLER_LINK_TEXT(name) [CALLER_LINK_##name] = {#name, sizeof(#name) - 1},
    static const struct str texts[] = {CALLER_LINK_STATES(CALLER_LINK_TEXT)};

    assert(s < CALLER_LINK_STATE_N);
    return texts[s];
}

static void move(struct caller_link *l, enum caller_link_event e)
{
    l->state = caller_link_next(l->state, e, l->peer->address.tls);
}

/* ---- the end ---- */

/* One that ends is no reason to call less often. */
static bool was_good(const struct caller_link *l)
{
    return l->answered || (l->opened_us && clock_monotonic() >= l->opened_us + LIVED_US);
}

static void over(struct caller_link *l, enum caller_link_event e, const char *why)
{
    if (l->state == CALLER_LINK_OVER)
        return;
    move(l, e);
    snprintf(l->why, sizeof(l->why), "%s", why);
    if (l->name)
        caller_name_forget(TAKE(l->name));
    caller_socket_drop(TAKE(l->socket));
    if (l->h2)
        caller_h2_cut(l->h2, str_of(l->why));
    caller_link_lost(l, e == CALLER_LINK_EVENT_ENDED || was_good(l), l->why);
    caller_wake_link(l);
}

void caller_link_fail(struct caller_link *l, const char *why)
{
    over(l, CALLER_LINK_EVENT_FAILED, why);
}

void caller_link_end(struct caller_link *l)
{
    over(l, CALLER_LINK_EVENT_ENDED, "the connection is closed");
}

static void link_free(struct caller_link *l)
{
    assert(list_empty(&l->calls));
    caller_h2_free(l->h2);
    caller_tls_pipe_free(l->pipe);
    list_del(&l->all);
    list_del(&l->woken);
    caller_link_gone(l);
    free(l);
}

/* ---- what HTTP/2 tells ---- */

static void on_greeted(void *context)
{
    struct caller_link *l = context;

    move(l, CALLER_LINK_EVENT_GREETED);
    l->opened_us = l->idle_us = clock_monotonic();
    l->caller->counts.connected++;
    caller_wake_peer(l->peer);
}

static void on_going(void *context)
{
    struct caller_link *l = context;

    move(l, CALLER_LINK_EVENT_GOING);
    if (l->state == CALLER_LINK_DRAINING)
        caller_link_lost(l, was_good(l), "the other side takes no more calls");
    caller_wake_link(l);
}

/* There may be room for the next one. */
static void call_left(struct caller_link *l, struct caller_call *call)
{
    list_del(&call->turn);
    call->link = NULL;
    l->idle_us = clock_monotonic();
    caller_wake_link(l);
    caller_wake_peer(l->peer);
}

static void on_ended(void *context, struct caller_call *call)
{
    struct caller_link *l = context;

    if (l->state != CALLER_LINK_OVER) {
        l->answered = true;
        l->peer->failures = 0;
    }
    call_left(l, call);
    caller_done(call);
}

static void on_refused(void *context, struct caller_call *call)
{
    struct caller_link *l = context;

    call_left(l, call);
    caller_again(call, l->why[0] ? l->why : "the other side does not take the call");
}

bool caller_link_has_room(const struct caller_link *l)
{
    return l->state == CALLER_LINK_OPEN && caller_h2_room(l->h2);
}

void caller_link_begin(struct caller_link *l, struct caller_call *call)
{
    call->link = l;
    list_add(&l->calls, &call->turn);
    if (caller_h2_calls(l->h2) == 0)
        l->heard_us = clock_monotonic();
    caller_h2_begin(l->h2, call, clock_monotonic());
    caller_want(l->caller, caller_link_deadline(l));
    caller_wake_link(l);
}

void caller_link_drop(struct caller_link *l, struct caller_call *call)
{
    caller_h2_drop(l->h2, call);
    call_left(l, call);
}

/* ---- bytes out ---- */

/* Returns whether all of it is gone. */
static bool flush(struct caller_link *l, struct str out)
{
    bool all;
    int r = caller_socket_write(l->socket, out, &all);

    if (r)
        caller_link_fail(l, uv_strerror(r));
    else
        l->writing = !all;
    return r == 0 && all;
}

void caller_link_written(struct caller_link *l, int status)
{
    l->writing = false;
    if (status < 0)
        caller_link_fail(l, uv_strerror(status));
    else
        caller_wake_link(l);
}

/* What is for the socket: of HTTP/2, through TLS where there is any. */
static void fill(struct caller_link *l, struct buf *out)
{
    struct buf plain;

    if (!l->pipe) {
        caller_h2_drain(l->h2, out);
        return;
    }
    caller_tls_drain(l->pipe, out);
    if (out->n || !l->h2)
        return;
    buf_fixed(&plain, l->caller->plain, sizeof(l->caller->plain));
    caller_h2_drain(l->h2, &plain);
    if (caller_tls_write(l->pipe, buf_str(&plain)))
        caller_link_fail(l, "what is to be sent cannot be encrypted");
    else
        caller_tls_drain(l->pipe, out);
}

static void pump(struct caller_link *l)
{
    while (l->socket && !l->writing && (l->h2 || l->pipe)) {
        struct buf *out = &l->caller->out;

        buf_clear(out);
        fill(l, out);
        if (out->n == 0 || l->state == CALLER_LINK_OVER || !flush(l, buf_str(out)))
            return;
    }
}

static void look_over(struct caller_link *l)
{
    if (l->state == CALLER_LINK_OVER || l->writing || !l->h2 || !caller_h2_over(l->h2))
        return;
    if (l->state == CALLER_LINK_GREETING)
        caller_link_fail(l, "the other side does not speak HTTP/2");
    else if (l->state == CALLER_LINK_DRAINING && caller_h2_calls(l->h2) == 0)
        caller_link_end(l);
    else
        caller_link_fail(l, "the other side breaks the rules of HTTP/2");
}

void caller_link_turn(struct caller_link *l)
{
    pump(l);
    look_over(l);
    if (l->state == CALLER_LINK_OVER)
        link_free(l);
    else
        caller_want(l->caller, caller_link_deadline(l));
}

/* ---- bytes in ---- */

static void begin_http2(struct caller_link *l)
{
    struct caller_h2_options o = {
        .authority = l->peer->authority,
        .tls = l->peer->address.tls,
        .message_bytes_max = l->caller->o.message_bytes_max,
        .context = l,
        .greeted = on_greeted,
        .going = on_going,
        .ended = on_ended,
        .refused = on_refused,
    };

    l->h2 = caller_h2_new(&o);
}

static void shake(struct caller_link *l)
{
    char text[sizeof(l->why)];
    const char *why;
    int r = caller_tls_shake(l->pipe, &why);

    if (r == 0) {
        move(l, CALLER_LINK_EVENT_SHAKEN);
        begin_http2(l);
    } else if (r == CALLER_TLS_E_BAD) {
        snprintf(text, sizeof(text), "TLS: %s", why);
        pump(l); /* the other side hears why */
        caller_link_fail(l, text);
    }
    caller_wake_link(l);
}

static void read_plain(struct caller_link *l)
{
    char text[sizeof(l->why)];
    const char *why;
    size_t n;
    int r = 0;

    while (l->h2 && l->state != CALLER_LINK_OVER && r == 0) {
        r = caller_tls_read(l->pipe, l->caller->plain, NET_OUT_BYTES, &n, &why);
        if (r == 0)
            caller_h2_feed(l->h2, (struct str){l->caller->plain, n});
    }
    if (r == CALLER_TLS_E_ENDED)
        caller_link_fail(l, "the other side has closed the connection");
    if (r == CALLER_TLS_E_BAD) {
        snprintf(text, sizeof(text), "TLS: %s", why);
        caller_link_fail(l, text);
    }
}

static void feed(struct caller_link *l, struct str bytes)
{
    l->heard_us = clock_monotonic();
    l->pinged_us = 0;
    if (!l->pipe) {
        caller_h2_feed(l->h2, bytes);
    } else {
        caller_tls_feed(l->pipe, bytes);
        if (l->state == CALLER_LINK_SHAKING)
            shake(l);
        read_plain(l);
    }
    caller_wake_link(l);
}

void caller_link_read(struct caller_link *l, ssize_t n, const char *bytes)
{
    if (n > 0)
        feed(l, (struct str){bytes, (size_t)n});
    else if (n == UV_EOF && l->state == CALLER_LINK_DRAINING && caller_h2_calls(l->h2) == 0)
        caller_link_end(l);
    else if (n == UV_EOF)
        caller_link_fail(l, "the other side has closed the connection");
    else
        caller_link_fail(l, uv_strerror((int)n));
}

/* ---- the beginning ---- */

static void connect_next(struct caller_link *l);

static void connected(struct caller_link *l)
{
    int r;

    l->next_us = INT64_MAX;
    move(l, CALLER_LINK_EVENT_CONNECTED);
    if (l->state == CALLER_LINK_SHAKING) {
        l->pipe = caller_tls_pipe(caller_tls_of(l->caller), &l->peer->address);
        shake(l);
    } else {
        begin_http2(l);
    }
    r = l->socket ? caller_socket_read(l->socket) : 0;
    if (r)
        caller_link_fail(l, uv_strerror(r));
    caller_wake_link(l);
}

void caller_link_connected(struct caller_link *l, int status)
{
    if (status == 0) {
        connected(l);
        return;
    }
    caller_socket_drop(TAKE(l->socket));
    if (l->at < l->addresses_n)
        connect_next(l);
    else
        caller_link_fail(l, uv_strerror(status));
}

/* Each address has its share of the time that is left. */
static void connect_next(struct caller_link *l)
{
    int64_t now = clock_monotonic();
    int64_t left = l->begun_us + l->caller->o.connect_us - now;
    const struct sockaddr_storage *a = &l->addresses[l->at];
    int r;

    l->next_us = now + left / (int64_t)(l->addresses_n - l->at);
    l->at++;
    l->socket = caller_socket_new(l);
    r = caller_socket_connect(l->socket, a);
    if (r && l->at < l->addresses_n) {
        caller_socket_drop(TAKE(l->socket));
        connect_next(l);
    } else if (r) {
        caller_link_fail(l, uv_strerror(r));
    }
    caller_want(l->caller, caller_link_deadline(l));
}

static void on_name(void *context, const struct sockaddr_storage *addresses, size_t n,
                    const char *error)
{
    struct caller_link *l = context;

    l->name = NULL;
    if (error) {
        caller_link_fail(l, error);
        return;
    }
    memcpy(l->addresses, addresses, n * sizeof(*addresses));
    l->addresses_n = n;
    move(l, CALLER_LINK_EVENT_RESOLVED);
    connect_next(l);
}

struct caller_link *caller_link_new(struct caller_peer *p)
{
    struct caller_link *l = memory_new(sizeof(*l));

    l->caller = p->caller;
    l->peer = p;
    list_init(&l->woken);
    list_init(&l->calls);
    list_add(&p->caller->links, &l->all);
    l->begun_us = l->heard_us = clock_monotonic();
    l->next_us = INT64_MAX;
    p->links_n++;
    p->link = l;
    p->caller->counts.links++;
    l->state = CALLER_LINK_RESOLVING;
    caller_want(l->caller, caller_link_deadline(l));
    if (p->address.numeric)
        on_name(l, &p->address.socket, 1, NULL);
    else
        l->name = caller_name_ask(&p->caller->names, &p->address, on_name, l);
    return l;
}

/* ---- time ---- */

int64_t caller_link_deadline(const struct caller_link *l)
{
    const struct caller_options *o = &l->caller->o;
    int64_t whole = l->begun_us + o->connect_us;

    if (l->state == CALLER_LINK_OVER)
        return INT64_MAX;
    if (l->state < CALLER_LINK_OPEN)
        return l->next_us < whole ? l->next_us : whole;
    if (l->pinged_us)
        return l->pinged_us + o->pong_us;
    return caller_h2_calls(l->h2) ? l->heard_us + o->ping_us : l->idle_us + o->idle_us;
}

static void connecting_tick(struct caller_link *l, int64_t now_us)
{
    static const char *const whys[] = {
        [CALLER_LINK_RESOLVING] = "its name is not resolved in time",
        [CALLER_LINK_CONNECTING] = "it does not answer",
        [CALLER_LINK_SHAKING] = "it does not shake hands (TLS) in time",
        [CALLER_LINK_GREETING] = "it accepts the connection and does not answer",
    };

    if (now_us < l->begun_us + l->caller->o.connect_us && l->at < l->addresses_n) {
        caller_socket_drop(TAKE(l->socket));
        connect_next(l);
        return;
    }
    caller_link_fail(l, whys[l->state]);
}

void caller_link_tick(struct caller_link *l, int64_t now_us)
{
    if (now_us < caller_link_deadline(l))
        return;
    if (l->state < CALLER_LINK_OPEN) {
        connecting_tick(l, now_us);
    } else if (l->pinged_us) {
        caller_link_fail(l, "it gives no sign of life");
    } else if (caller_h2_calls(l->h2)) {
        l->pinged_us = now_us;
        caller_h2_ping(l->h2);
        caller_wake_link(l);
    } else {
        caller_link_end(l);
    }
}
