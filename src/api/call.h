/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call: one request between a transport (gRPC, HTTP, this process) and the server.
 *
 * The transport makes it, with the decoded request in the call's arena, and starts it; the server
 * answers on the same loop:
 *
 *     unary:  start → done
 *     stream: start → message → (pull → message)… → done
 *
 * `done` comes exactly once, also after a cancel, and nothing comes behind it; then the transport
 * frees the arena. The reply lives in the arena, that of a stream until the next `pull`.
 * Whoever makes the call sets everything above the line, zero where there is nothing.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include <stdint.h>

#include "api/method.h"
#include "base/arena.h"
#include "base/doc.h"
#include "base/str.h"
#include "core/code.h"

/* A message of a stream that others are sent, too: what a transport makes of it, it keeps here for
 * the next. Empty: nobody has made it. */
struct call_bytes {
    struct arena *arena; /* lives as long as the message */
    struct str protobuf;
    struct str sse; /* a whole event (net/sse.h) */
};

struct call {
    const struct method *method;
    const ProtobufCMessage *request;
    struct arena arena;
    int64_t deadline_us; /* monotonic (clock.h); INT64_MAX: none */
    struct str peer;     /* address of the client, for limits and the log; empty: this process */
    struct str id;       /* by which it is found again in the log; empty: it has none */
    struct str idempotency_key;      /* empty: none; at most CALL_KEY_BYTES_MAX */
    void (*message)(struct call *c); /* of a stream: c->reply is one */
    void (*done)(struct call *c);
    void *transport; /* the transport's own */

    /* ---- the server's ---- */
    void *server;
    /* The client has gone, or its deadline has passed: what has not begun is left undone, and
     * `done` comes soon. */
    void (*cancel)(struct call *c);
    /* The client may have gone, or only sends no more: what waits for news answers with what there
     * is, so that nothing is given to nobody. NULL: it does not wait. */
    void (*hasten)(struct call *c);
    /* The transport has sent the message and takes another. */
    void (*pull)(struct call *c);

    /* How it came out, set before `done`; the texts live in the arena. */
    enum code code;
    struct str text; /* one sentence */
    const struct doc_error *details;
    size_t details_n;
    int64_t retry_after_us; /* 0: nothing is said */
    struct str etag;        /* empty: none */
    ProtobufCMessage *reply;
    struct call_bytes *bytes; /* of a message; NULL: it is this call's alone */
};

#define CALL_KEY_BYTES_MAX 200u
#define CALL_ID_BYTES_MAX  64u

/* What transports are given: the table, and what starts a call on this loop. */
struct call_service {
    const struct method *const *methods;
    size_t methods_n;
    void (*start)(void *context, struct call *c);
    void *context;
};

#endif
