/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one connection, from accept to close.
 *
 * It moves bytes between a socket and a protocol: reads into the buffer that all connections of a
 * loop share, drains the protocol into another, writes, and drains no more until all of that is
 * written; that is the back-pressure. Plain text that begins with "PRI " is HTTP/2, other plain
 * text HTTP/1.1; with TLS the handshake decides.
 *
 *     OPEN --the protocol closes--> LINGER --the peer has closed, or linger_us--> CLOSED
 *       +--the peer is gone, a write takes too long-------------------------------^
 *
 * A deadline is one timer of the connection, which is moved when it fires and not at each request.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <uv.h>

#include "base/list.h"
#include "net/protocol.h"

struct tls;
struct conn;

/* What connections of one loop share, and whom they tell of their end. */
struct conn_owner {
    struct net_shared *shared;
    uv_loop_t *loop;
    struct buf *out; /* of NET_OUT_BYTES */
    char *in;        /* of CONN_IN_BYTES */
    bool (*admit)(struct conn_owner *o, uint64_t peer, int64_t *ret_retry_after_us);
    void (*gone)(struct conn_owner *o, uint64_t peer); /* its memory is about to be freed */
    struct list conns;
};

#define CONN_IN_BYTES ((size_t)64 << 10)

enum conn_speaks { CONN_ANY, CONN_HTTP1, CONN_HTTP2 };

struct conn_options {
    struct conn_owner *owner;
    struct tls *tls; /* NULL: plain text */
    enum conn_speaks speaks;
    bool loopback;
};

/* Accept the listener's next connection; what it is called goes to *ret_peer. Returns 0 or a fault,
 * and then there is none. It frees itself. */
int conn_accept(uv_stream_t *listener, const struct conn_options *options, struct conn **ret,
                uint64_t *ret_peer);

/* Say `reply` and close, before the first byte was read. */
void conn_refuse(struct conn *c, struct str reply);

/* Begin to read. */
void conn_start(struct conn *c);

/* All of them: finish what is under way (conn_retire), or close now. */
void conn_retire_all(struct conn_owner *o);
void conn_close_all(struct conn_owner *o);

#endif
