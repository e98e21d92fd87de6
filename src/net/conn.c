/* SPDX-License-Identifier: Apache-2.0 */
#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/grpc.h"
#include "net/http1.h"
#include "net/peers.h"
#include "net/tls.h"

#define SNIFF_BYTES    4u /* "PRI " */
#define SMALL_BUFFER   (16 << 10)
#define KEEP_ALIVE_S   60u /* a peer that is gone without a word is noticed within minutes */
#define DEADLINE_NEVER INT64_MAX

enum state { OPEN, LINGER, CLOSED };

struct conn {
    struct list link;
    struct list woken; /* in the owner's list */
    struct conn_owner *owner;
    struct conn_options options;
    struct protocol_host host;
    struct protocol *p; /* NULL: it is not known yet what it speaks, or the connection is over */
    struct peer *peer;
    enum state state;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    struct buf pending; /* what `write` is writing */
    char sniffed[SNIFF_BYTES];
    size_t sniffed_n;
    int64_t deadline_us; /* of its own: the first bytes, a write, lingering */
    int64_t armed_us;    /* when the timer will fire; DEADLINE_NEVER: it will not */
    bool writing;
    bool reading;
    bool ended;   /* the peer sends no more */
    bool counted; /* among the owner's lingering ones */
    int handles;  /* that are not closed yet */
    char address[INET6_ADDRSTRLEN];
};

static struct conn *conn_of(struct protocol_host *h)
{
    return (struct conn *)(void *)((char *)h - offsetof(struct conn, host));
}

static int64_t now(const struct conn *c)
{
    return c->owner->shared->now();
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct conn_owner *o = c->owner;

    if (--c->handles > 0)
        return;
    if (c->counted)
        o->lingering--;
    list_del(&c->link);
    list_del(&c->woken);
    o->conns_n--;
    o->shared->metrics.open--;
    buf_deinit(&c->pending);
    free(c);
    if (o->conns_n == 0 && o->empty)
        o->empty(o);
}

static void conn_close(struct conn *c)
{
    struct protocol *p = TAKE(c->p);

    if (c->state == CLOSED)
        return;
    c->state = CLOSED;
    if (c->peer)
        peers_leave(c->owner->peers, c->peer);
    c->peer = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
    if (p)
        p->type->free(p);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static int64_t deadline(const struct conn *c)
{
    int64_t at = c->deadline_us;

    if (c->state == OPEN && c->p && c->p->deadline_us < at)
        at = c->p->deadline_us;
    return at;
}

/* The timer is moved only where it would fire too late; where it fires too early, it is set anew.
 */
static void arm(struct conn *c)
{
    int64_t at = deadline(c), left;

    if (at >= c->armed_us)
        return;
    c->armed_us = at;
    left = at - now(c);
    uv_timer_start(&c->timer, on_timer, left > 0 ? (uint64_t)(left / CLOCK_MS) + 1 : 1, 0);
}

/* ---- bytes out ---- */

static void pump(struct conn *c);
static void linger(struct conn *c);

/* What was woken meanwhile has its turn, one after the other and not one within the other. */
static void leave(struct conn_owner *o)
{
    if (o->leaving)
        return;
    o->leaving = true;
    while (!list_empty(&o->woken)) {
        struct conn *c = LIST_OF(o->woken.next, struct conn, woken);

        list_del(&c->woken);
        pump(c);
    }
    o->leaving = false;
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;

    c->writing = false;
    if (c->state == CLOSED)
        return;
    c->deadline_us = DEADLINE_NEVER;
    buf_deinit(&c->pending);
    if (status < 0)
        conn_close(c);
    else
        pump(c);
}

/* Write what is in owner->out. Returns whether all of it is gone. */
static bool flush(struct conn *c)
{
    struct str out = buf_str(&c->owner->out);
    uv_buf_t b = uv_buf_init(c->owner->out.p, (unsigned)out.n);
    int n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);

    if (n < 0 && n != UV_EAGAIN) {
        conn_close(c);
        return false;
    }
    if (n < 0)
        n = 0;
    c->owner->shared->metrics.bytes_out += out.n;
    if ((size_t)n == out.n)
        return true;
    buf_init(&c->pending, NET_OUT_BYTES);
    buf_add(&c->pending, str_sub(out, (size_t)n, out.n));
    b = uv_buf_init(c->pending.p, (unsigned)c->pending.n);
    c->write.data = c;
    c->writing = true;
    c->deadline_us = now(c) + c->owner->shared->limits.write_us;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written)) {
        c->writing = false;
        conn_close(c);
    }
    return false;
}

static void read_on(struct conn *c);

/* Drain and write until the protocol has no more, or the socket takes no more; then see what the
 * protocol wants. */
static void pump(struct conn *c)
{
    struct conn_owner *o = c->owner;

    if (c->state != OPEN || !c->p)
        return;
    if (o->busy) {
        if (list_empty(&c->woken))
            list_add(&o->woken, &c->woken);
        return;
    }
    while (!c->writing) {
        buf_clear(&o->out);
        o->busy = true;
        c->p->type->drain(c->p, &o->out);
        o->busy = false;
        if (o->out.n == 0 || !flush(c))
            break;
    }
    if (c->state == OPEN && c->p->closing && !c->writing)
        linger(c);
    if (c->state == OPEN) {
        read_on(c);
        arm(c);
    }
    leave(o);
}

/* All is said. Whoever is closed while it still sends would see a reset instead of the reply. */
static void linger(struct conn *c)
{
    struct protocol *p = TAKE(c->p);
    const struct net_shared *s = c->owner->shared;
    int64_t us = s->limits.linger_us;
    int fd;

    if (p)
        p->type->free(p);
    if (c->ended || uv_fileno((uv_handle_t *)&c->tcp, &fd) || shutdown(fd, SHUT_WR)) {
        conn_close(c);
        return;
    }
    c->state = LINGER;
    if (s->retiring && us > CONN_FAREWELL_US_MAX)
        us = CONN_FAREWELL_US_MAX;
    c->deadline_us = now(c) + us;
    read_on(c);
    arm(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    struct conn_owner *o = c->owner;
    int64_t at = now(c);

    c->armed_us = DEADLINE_NEVER;
    if (at >= c->deadline_us) {
        if (c->state == OPEN)
            o->shared->metrics.refused[c->writing ? METRICS_WRITE_TIME : METRICS_SILENT]++;
        conn_close(c);
        return;
    }
    if (c->state == OPEN && c->p && at >= c->p->deadline_us) {
        o->busy = true;
        c->p->type->expire(c->p);
        o->busy = false;
        pump(c);
        leave(o);
        return;
    }
    arm(c);
}

/* ---- bytes in ---- */

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    struct conn *c = handle->data;

    (void)size;
    *ret = uv_buf_init(c->owner->in, CONN_IN_BYTES);
}

static void feed(struct conn *c, struct str bytes)
{
    struct conn_owner *o = c->owner;

    o->busy = true;
    c->p->type->feed(c->p, bytes);
    o->busy = false;
}

static void speak(struct conn *c, bool http2)
{
    if (c->options.speaks != CONN_ANY)
        http2 = c->options.speaks == CONN_HTTP2;
    c->p = http2 ? grpc_connection(&c->host) : http1_new(&c->host);
    c->deadline_us = DEADLINE_NEVER;
}

/* The first bytes of plain text say what is spoken. */
static void sniff(struct conn *c, struct str bytes)
{
    static const char http2[SNIFF_BYTES] = "PRI ";
    size_t known = c->sniffed_n;

    for (size_t i = 0; i < bytes.n && c->sniffed_n < SNIFF_BYTES; i++)
        c->sniffed[c->sniffed_n++] = bytes.p[i];
    if (memcmp(c->sniffed, http2, c->sniffed_n) != 0)
        speak(c, false);
    else if (c->sniffed_n == SNIFF_BYTES)
        speak(c, true);
    else
        return;
    feed(c, (struct str){c->sniffed, known});
    feed(c, bytes);
}

static void on_end(struct conn *c)
{
    struct conn_owner *o = c->owner;

    c->ended = true;
    if (c->state != OPEN || !c->p) {
        conn_close(c);
        return;
    }
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
    o->busy = true;
    c->p->type->end(c->p);
    o->busy = false;
    pump(c);
    leave(o);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    struct str bytes = {buf->base, n > 0 ? (size_t)n : 0};

    if (n == 0 || c->state == CLOSED)
        return;
    if (n == UV_EOF) {
        on_end(c);
        return;
    }
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->owner->shared->metrics.bytes_in += bytes.n;
    if (c->state == LINGER)
        return;
    if (c->p)
        feed(c, bytes);
    else
        sniff(c, bytes);
    pump(c);
    leave(c->owner);
}

/* Read, or do not, as the protocol wants. */
static void read_on(struct conn *c)
{
    bool want = !c->ended && !(c->state == OPEN && c->p && (c->p->paused || c->p->closing));

    if (want == c->reading)
        return;
    c->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        conn_close(c);
}

/* ---- the host of a protocol ---- */

/* Many replies come in one turn of the loop, and shall leave in one write. */
static void host_wake(struct protocol_host *h)
{
    struct conn *c = conn_of(h);

    if (list_empty(&c->woken))
        list_add(&c->owner->woken, &c->woken);
}

static void on_before(uv_prepare_t *before)
{
    leave(LIST_OF(before, struct conn_owner, before));
}

static void on_after(uv_check_t *after)
{
    leave(LIST_OF(after, struct conn_owner, after));
}

void conn_turns(struct conn_owner *o)
{
    list_init(&o->woken);
    uv_prepare_init(o->loop, &o->before);
    uv_prepare_start(&o->before, on_before);
    uv_unref((uv_handle_t *)&o->before);
    uv_check_init(o->loop, &o->after);
    uv_check_start(&o->after, on_after);
    uv_unref((uv_handle_t *)&o->after);
}

static bool host_admit(struct protocol_host *h, int64_t *ret_retry_after_us)
{
    struct conn *c = conn_of(h);
    const struct net_limits *l = &c->owner->shared->limits;

    return l->requests_per_s == 0 || peers_admit(c->peer, l, now(c), ret_retry_after_us);
}

static void host_small_buffer(struct protocol_host *h)
{
    int size = SMALL_BUFFER;

    uv_send_buffer_size((uv_handle_t *)&conn_of(h)->tcp, &size);
}

/* ---- the beginning ---- */

static struct conn *conn_new(struct conn_owner *o, const struct conn_options *options)
{
    struct conn *c = memory_new(sizeof(*c));

    c->owner = o;
    c->options = *options;
    c->deadline_us = c->armed_us = DEADLINE_NEVER;
    c->handles = 2;
    uv_tcp_init(o->loop, &c->tcp);
    uv_timer_init(o->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    list_add(&o->conns, &c->link);
    list_init(&c->woken);
    o->conns_n++;
    o->shared->metrics.open++;
    o->shared->metrics.connections++;
    return c;
}

/* Whose it is: for the limits, and as text for the log. */
static uint64_t name_peer(struct conn *c)
{
    struct sockaddr_storage a;
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&a;
    int n = sizeof(a);

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)(void *)&a, &n))
        return 0;
    if (uv_ip_name(address, c->address, sizeof(c->address)))
        c->address[0] = '\0';
    c->host.peer = str_of(c->address);
    return peers_key(address);
}

/* Say so, where that can be read, and close. */
static void turn_away(struct conn *c, enum metrics_refusal why)
{
    static char reply[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: 140\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"code\":\"resource_exhausted\",\"detail\":\"the server has too many connections\"}";
    uv_buf_t b = uv_buf_init(reply, sizeof(reply) - 1);
    struct conn_owner *o = c->owner;

    o->shared->metrics.refused[why]++;
    if (c->options.tls || c->options.speaks == CONN_HTTP2 || o->lingering == CONN_LINGERING_MAX ||
        uv_try_write((uv_stream_t *)&c->tcp, &b, 1) < 0) {
        conn_close(c);
        return;
    }
    c->counted = true;
    o->lingering++;
    linger(c);
}

static void begin(struct conn *c)
{
    const struct net_limits *l = &c->owner->shared->limits;

    c->host.shared = c->owner->shared;
    c->host.tls = c->options.tls;
    c->host.loopback = c->options.loopback;
    c->host.wake = host_wake;
    c->host.admit = host_admit;
    c->host.small_buffer = host_small_buffer;
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEP_ALIVE_S);
    if (c->options.tls)
        c->p = tls_connection(c->options.tls, &c->host, c->options.speaks);
    else if (c->options.speaks != CONN_ANY)
        speak(c, false);
    else
        c->deadline_us = now(c) + l->first_byte_us;
    read_on(c);
    pump(c);
    if (c->state == OPEN)
        arm(c);
}

void conn_accept(struct conn_owner *o, uv_stream_t *listener, const struct conn_options *options)
{
    const struct net_limits *l = &o->shared->limits;
    struct conn *c = conn_new(o, options);
    uint64_t key;

    if (uv_accept(listener, (uv_stream_t *)&c->tcp)) {
        conn_close(c);
        return;
    }
    key = name_peer(c);
    c->peer = peers_enter(o->peers, key, l, now(c));
    if (!c->peer)
        turn_away(c, METRICS_CONNECTIONS_PER_PEER);
    else if (l->connections && o->conns_n - o->lingering > l->connections)
        turn_away(c, METRICS_CONNECTIONS);
    else
        begin(c);
}

void conn_retire_all(struct conn_owner *o)
{
    LIST_EACH_SAFE(it, &o->conns)
    {
        struct conn *c = LIST_OF(it, struct conn, link);

        if (c->state != OPEN)
            continue;
        if (!c->p) {
            conn_close(c);
            continue;
        }
        o->busy = true;
        c->p->type->retire(c->p);
        o->busy = false;
        pump(c);
    }
    leave(o);
}

void conn_close_all(struct conn_owner *o)
{
    LIST_EACH_SAFE(it, &o->conns)
    conn_close(LIST_OF(it, struct conn, link));
}
