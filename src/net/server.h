/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the listeners of a daemon and all that comes in through them.
 *
 * One loop, one thread. It is made with what answers (a call_service and pages), then given
 * addresses to listen at, and ended in two steps: drain, which takes nothing new and waits for what
 * is under way, and free.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include <uv.h>

#include "net/conn.h"
#include "net/protocol.h"

#define SERVER_LISTENERS_MAX 16u
#define SERVER_PORT_TEXT_MAX 64u /* "[ffff:…]:65535", with its NUL */

struct server;

struct server_options {
    uv_loop_t *loop;
    struct net_limits limits; /* NET_LIMITS_DEFAULT */
    const struct call_service *service;
    const struct net_page *pages; /* each is read at every request: they may change what they say */
    size_t pages_n;
    const char *const *hosts; /* names of proxies before an address of this machine alone */
    size_t hosts_n;
};

/* Everything pointed to stays the caller's and must outlive the server. */
struct server *server_new(const struct server_options *options);

struct server_listen {
    const char *address;     /* "127.0.0.1:7411", "[::1]:0" (any free port), ":7411" (everywhere) */
    struct tls *tls;         /* NULL: plain text */
    enum conn_speaks speaks; /* CONN_HTTP2: nothing but gRPC */
};

enum { SERVER_E_ADDRESS = 1, SERVER_E_LISTEN };

/*
 * Listen at one more address. Returns 0 with what it listens at ("127.0.0.1:40123"), or
 * SERVER_E_ADDRESS (it is none) or SERVER_E_LISTEN (it is taken, or not ours), with one sentence in
 * the arena.
 */
int server_listen(struct server *s, const struct server_listen *listen, struct arena *a,
                  struct str *ret_address, struct str *ret_error);

/* Whether an address is reached from this machine alone. False for what is none. */
bool server_loopback(const char *address);

/* For all that begins from now on. */
void server_limit(struct server *s, const struct net_limits *limits);

/* What gRPC's health service says: SERVING, until it is told otherwise or drains. */
void server_serving(struct server *s, bool serving);

/* Its part of /metrics. */
void server_metrics(const struct server *s, struct buf *out);

/*
 * Close the listeners, answer new requests with 503, end streams and idle connections, and call
 * `done` on the loop when no connection is left or `grace_us` has passed; then what is left has
 * been cut off. Once.
 */
void server_drain(struct server *s, int64_t grace_us, void (*done)(void *context), void *context);

/* After the drain's `done`. The loop must run on until it has closed the handles. NULL is fine. */
struct server *server_free(struct server *s);

#endif
