/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/grpc.h"
#include "net/peers.h"
#include "net/request_id.h"
#include "net/route.h"

#define BACKLOG           1024
#define SCRATCH_BYTES_MAX ((size_t)1 << 30)

struct listener {
    uv_tcp_t tcp;
    struct server *server;
    struct conn_options options;
};

struct server {
    struct net_shared shared;
    struct conn_owner owner;
    struct route *routes;
    struct listener *listeners[SERVER_LISTENERS_MAX];
    size_t listeners_n;
    uv_timer_t grace;
    uv_timer_t soon; /* `done` is called from the loop, not from within a call's end */
    int handles;     /* of the two that are not closed */
    bool over;       /* `done` is on its way */
    void (*done)(void *context);
    void *context;
};

/* ---- addresses ---- */

/* "127.0.0.1:80", "[::1]:80", ":80". */
static bool parse(const char *address, struct sockaddr_storage *ret)
{
    const char *colon = address ? strrchr(address, ':') : NULL;
    char host[INET6_ADDRSTRLEN];
    struct str name;
    int64_t port;

    if (!colon || !str_int64(str_of(colon + 1), &port) || port < 0 || port > 65535)
        return false;
    name = (struct str){address, (size_t)(colon - address)};
    if (name.n == 0)
        name = STR("[::]");
    if (str_eq(name, STR("localhost")))
        name = STR("127.0.0.1");
    if (name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = str_sub(name, 1, name.n - 2);
    else if (str_find(name, ':', NULL))
        return false;
    if (name.n >= sizeof(host))
        return false;
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    return uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)(void *)ret) == 0 ||
           uv_ip4_addr(host, (int)port, (struct sockaddr_in *)(void *)ret) == 0;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *a4 = (const void *)a;
    const struct sockaddr_in6 *a6 = (const void *)a;

    if (a->ss_family == AF_INET)
        return ntohl(a4->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&a6->sin6_addr);
}

bool server_loopback(const char *address)
{
    struct sockaddr_storage a;

    return parse(address, &a) && is_loopback(&a);
}

/* What a socket is bound to. */
static struct str bound(const uv_tcp_t *tcp, struct arena *a)
{
    struct sockaddr_storage s;
    char host[INET6_ADDRSTRLEN] = "";
    int n = sizeof(s);

    if (uv_tcp_getsockname(tcp, (struct sockaddr *)(void *)&s, &n))
        return STR("");
    uv_ip_name((const struct sockaddr *)(const void *)&s, host, sizeof(host));
    /* The port stands at the same place in both. */
    n = ntohs(((const struct sockaddr_in *)(const void *)&s)->sin_port);
    return s.ss_family == AF_INET6 ? str_printf(a, "[%s]:%d", host, n)
                                   : str_printf(a, "%s:%d", host, n);
}

/* ---- listeners ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *l = stream->data;

    if (status < 0) {
        log_say(LOG_WARNING, "accept_failed", LOG_TEXT("error", str_of(uv_strerror(status))));
        return;
    }
    conn_accept(&l->server->owner, stream, &l->options);
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int server_listen(struct server *s, const struct server_listen *listen, struct arena *a,
                  struct str *ret_address, struct str *ret_error)
{
    struct sockaddr_storage address;
    struct listener *l;
    int r;

    assert(s->listeners_n < SERVER_LISTENERS_MAX && !s->shared.retiring);
    if (!parse(listen->address, &address)) {
        *ret_error =
            str_printf(a, "\"%s\" is no address to listen at; write 127.0.0.1:7411 or [::1]:7411",
                       listen->address);
        return SERVER_E_ADDRESS;
    }
    l = memory_new(sizeof(*l));
    l->server = s;
    l->options = (struct conn_options){listen->tls, listen->speaks, is_loopback(&address)};
    uv_tcp_init(s->owner.loop, &l->tcp);
    l->tcp.data = l;
    r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)(const void *)&address, 0);
    if (!r)
        r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (r) {
        *ret_error = str_printf(a, "cannot listen at %s: %s", listen->address, uv_strerror(r));
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
        return SERVER_E_LISTEN;
    }
    s->listeners[s->listeners_n++] = l;
    *ret_address = bound(&l->tcp, a);
    return 0;
}

/* ---- life ---- */

static void on_soon(uv_timer_t *timer)
{
    struct server *s = timer->data;

    s->done(s->context);
}

/* Once nothing is left of the connections and of their calls. */
static void look_over(struct server *s)
{
    if (!s->shared.retiring || s->over || s->owner.conns_n > 0 || s->shared.metrics.calls > 0)
        return;
    s->over = true;
    uv_timer_stop(&s->grace);
    uv_timer_start(&s->soon, on_soon, 0, 0);
}

static void on_calls_over(struct net_shared *shared)
{
    look_over(LIST_OF(shared, struct server, shared));
}

static void on_conns_over(struct conn_owner *owner)
{
    look_over(LIST_OF(owner, struct server, owner));
}

struct server *server_new(const struct server_options *o)
{
    struct server *s = memory_new(sizeof(*s));

    s->routes = route_new(o->service->methods, o->service->methods_n);
    s->shared.limits = o->limits;
    s->shared.service = o->service;
    s->shared.routes = s->routes;
    s->shared.pages = o->pages;
    s->shared.pages_n = o->pages_n;
    s->shared.hosts = o->hosts;
    s->shared.hosts_n = o->hosts_n;
    s->shared.now = clock_monotonic;
    s->shared.request_id = request_id_seed();
    s->shared.idle = on_calls_over;
    buf_init(&s->shared.scratch, SCRATCH_BYTES_MAX);
    s->owner.shared = &s->shared;
    s->owner.loop = o->loop;
    s->owner.peers = peers_new();
    s->owner.in = memory_grow(NULL, CONN_IN_BYTES);
    s->owner.empty = on_conns_over;
    buf_init(&s->owner.out, NET_OUT_BYTES);
    list_init(&s->owner.conns);
    conn_turns(&s->owner);
    uv_timer_init(o->loop, &s->grace);
    uv_timer_init(o->loop, &s->soon);
    s->grace.data = s->soon.data = s->owner.before.data = s->owner.after.data = s;
    s->handles = 4;
    s->shared.grpc = grpc_new(&s->shared);
    return s;
}

void server_limit(struct server *s, const struct net_limits *limits)
{
    s->shared.limits = *limits;
}

void server_metrics(const struct server *s, struct buf *out)
{
    metrics_text(&s->shared.metrics, out);
}

void server_serving(struct server *s, bool serving)
{
    grpc_serving(s->shared.grpc, serving);
}

static void on_grace(uv_timer_t *timer)
{
    struct server *s = timer->data;

    log_say(LOG_WARNING, "drain_cut_off", LOG_NUMBER("connections", s->owner.conns_n),
            LOG_NUMBER("calls", s->shared.metrics.calls));
    conn_close_all(&s->owner);
}

void server_drain(struct server *s, int64_t grace_us, void (*done)(void *context), void *context)
{
    assert(!s->shared.retiring);
    s->shared.retiring = true;
    s->done = done;
    s->context = context;
    for (size_t i = 0; i < s->listeners_n; i++)
        uv_close((uv_handle_t *)&s->listeners[i]->tcp, on_listener_closed);
    s->listeners_n = 0;
    grpc_serving(s->shared.grpc, false);
    uv_timer_start(&s->grace, on_grace, (uint64_t)(grace_us / CLOCK_MS), 0);
    conn_retire_all(&s->owner);
    look_over(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;

    if (--s->handles > 0)
        return;
    grpc_free(s->shared.grpc);
    route_free(s->routes);
    peers_free(s->owner.peers);
    buf_deinit(&s->shared.scratch);
    buf_deinit(&s->owner.out);
    free(s->owner.in);
    free(s);
}

struct server *server_free(struct server *s)
{
    if (!s)
        return NULL;
    assert(s->over || (s->owner.conns_n == 0 && s->shared.metrics.calls == 0));
    for (size_t i = 0; i < s->listeners_n; i++)
        uv_close((uv_handle_t *)&s->listeners[i]->tcp, on_listener_closed);
    uv_close((uv_handle_t *)&s->grace, on_closed);
    uv_close((uv_handle_t *)&s->soon, on_closed);
    uv_close((uv_handle_t *)&s->owner.before, on_closed);
    uv_close((uv_handle_t *)&s->owner.after, on_closed);
    return NULL;
}
