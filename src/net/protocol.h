/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol: what speaks over a connection, bytes in and bytes out.
 *
 *     socket  <->  conn (the host)  <->  [TLS  <->]  HTTP/1.1 or HTTP/2  <->  calls
 *
 * A protocol knows no socket, no loop and no clock but its host's, so that a test or a fuzzer can
 * be its host. TLS is a protocol that has another one inside and is that one's way out; both share
 * the host.
 *
 * The host calls a protocol's functions one at a time, never from within one of them or from
 * within `wake`. After each of them, and after `wake`, it looks at the public fields and drains.
 */
#ifndef NET_PROTOCOL_H
#define NET_PROTOCOL_H

#include <stdbool.h>

#include "api/call.h"
#include "base/buf.h"
#include "net/limits.h"
#include "net/metrics.h"

struct protocol;
struct grpc;

/* A path that is answered by the server itself: /metrics, /livez, /readyz, /openapi.json. */
struct net_page {
    const char *path;
    const char *type;                             /* Content-Type */
    int (*fill)(void *context, struct buf *body); /* returns the HTTP status; never waits */
    void *context;
};

/* What the connections of a server have in common. Outlives them and all their calls. */
struct net_shared {
    struct net_limits limits; /* may change at any time; what began goes on under the old ones */
    struct metrics metrics;
    const struct call_service *service;
    const struct route *routes; /* of service->methods (route.h) */
    const struct net_page *pages;
    size_t pages_n;
    size_t bodies_bytes; /* held now, against limits.bodies_bytes */
    bool retiring;       /* the server ends: nothing new is begun */
    uint64_t request_id; /* the newest that was made (request_id.h) */
    struct grpc *grpc;   /* grpc.h */
    struct buf scratch;  /* for a reply on its way from message to bytes */
    /* Names, beside those of this machine, under which one that listens for this machine alone may
     * be asked: those of a proxy before it. */
    const char *const *hosts;
    size_t hosts_n;
    int64_t (*now)(void);
    void (*idle)(struct net_shared *s); /* the last call under way has ended; may be NULL */
};

struct protocol_host {
    struct net_shared *shared;
    struct str peer; /* the client's address, without its port */
    bool tls;
    bool loopback; /* the address that it listens at is reached from this machine alone */
    /* There is something to drain, or a public field has changed: outside of the protocol's
     * functions, as from a call's `done`. Within them it does nothing. */
    void (*wake)(struct protocol_host *h);
    /* Whether the peer may begin another request now; else when it may. */
    bool (*admit)(struct protocol_host *h, int64_t *ret_retry_after_us);
    /* Messages are few and small, and shall not wait in the kernel where a slow client is not
     * seen: for streams over HTTP/1.1. */
    void (*small_buffer)(struct protocol_host *h);
};

struct protocol_type {
    const char *name; /* "http/1.1", "h2", "tls": in the log */
    /* Bytes from the peer, all of which are taken. Not called while `paused`. */
    void (*feed)(struct protocol *p, struct str bytes);
    /* The peer sends no more; it may still read. Once. */
    void (*end)(struct protocol *p);
    /* Append what is to be sent, as far as there is room in `out` (max - n; at least
     * NET_OUT_BYTES at first). It is called again when that has been written, until it appends
     * nothing. */
    void (*drain)(struct protocol *p, struct buf *out);
    /* deadline_us has passed. */
    void (*expire)(struct protocol *p);
    /* The server ends: finish what is under way, begin nothing, then close. */
    void (*retire)(struct protocol *p);
    /* The connection is gone, and so is the host. Calls under way are cancelled, and what they
     * need is freed with the last of them. */
    void (*free)(struct protocol *p);
};

struct protocol {
    const struct protocol_type *type;
    struct protocol_host *host;
    int64_t deadline_us; /* monotonic; INT64_MAX: none */
    bool paused;         /* nothing is read from the socket until it is false again */
    bool closing;        /* nothing that comes is of interest; close as soon as all is drained */
};

/* Each start of a call and each `done` is told, for the metrics and for the server's end. */
void protocol_call_begins(struct net_shared *s);
void protocol_call_ended(struct net_shared *s);

/* Whether a Host field ("localhost:7411") is a name of this machine, an address, or one of
 * `hosts`. */
bool protocol_is_local(const struct net_shared *s, struct str host);

#endif
