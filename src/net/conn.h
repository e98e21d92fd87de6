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
struct peers;

/* What connections of one loop have in common. */
struct conn_owner {
    struct net_shared *shared;
    uv_loop_t *loop;
    struct peers *peers;
    struct buf out;    /* of NET_OUT_BYTES: what one of them is about to write */
    char *in;          /* of CONN_IN_BYTES: what one of them has just read */
    struct list conns; /* all of them */
    size_t conns_n;
    size_t lingering;  /* of those, refused at once */
    struct list woken; /* they are drained once a turn of the loop, however often they were woken */
    uv_prepare_t before;
    uv_check_t after;
    bool busy;                           /* within a protocol's function */
    bool leaving;                        /* giving those their turn */
    void (*empty)(struct conn_owner *o); /* the last one has gone; may be NULL */
};

#define CONN_IN_BYTES      ((size_t)64 << 10)
#define CONN_LINGERING_MAX 256u /* more than these are refused without a word */
/* Lingering of a server that ends: what it said is on its way by then. */
#define CONN_FAREWELL_US_MAX 200000LL

enum conn_speaks { CONN_ANY, CONN_HTTP1, CONN_HTTP2 };

struct conn_options {
    struct tls *tls; /* NULL: plain text */
    enum conn_speaks speaks;
    bool loopback;
};

/* Accept the listener's next connection and begin to read, or refuse it where there are too many.
 * It frees itself. */
void conn_accept(struct conn_owner *o, uv_stream_t *listener, const struct conn_options *options);

/* Drain what is woken, from now on; the owner closes the two handles. They keep no loop alive. */
void conn_turns(struct conn_owner *o);

/* All of them: finish what is under way, or close now. */
void conn_retire_all(struct conn_owner *o);
void conn_close_all(struct conn_owner *o);

#endif
