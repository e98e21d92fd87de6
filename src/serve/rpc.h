/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc: one call under way within the server.
 *
 *     DECODED --post--> in a batcher --answered--> ENCODED --(a turn of the loop)--> done
 *        |  work: on uv's pool                        ^
 *        |  begin: it waits, or is a stream           |
 *        +--refused-----------------------------------+
 *
 * Where the store falls silent, the caller is answered in its place, and the rpc goes on to its end
 * for nobody, as if the client had gone.
 *
 * It lives in its call's arena, from rpc_start() to `done`. Everything happens on the loop's thread
 * but the function (a store thread) and the work (uv's pool). The call's functions are never called
 * from within rpc_start(), cancel or pull.
 */
#ifndef SERVE_RPC_H
#define SERVE_RPC_H

#include "api/call.h"
#include "serve/api.h"
#include "serve/table.h"

struct methods;

struct rpc {
    struct methods *methods;
    struct call *call;
    const struct table_row *row;
    struct api api;
    void *request; /* the engine's */
    void *reply;
    int64_t begun_us; /* monotonic */

    /* The transaction that is under way, or was. */
    struct batcher_request q;
    void (*done)(struct batcher_request *q);
    int64_t posted_us; /* monotonic: when it, or the pool's work, was begun; 0: neither is there */

    /* What a thread of the pool does, and has to itself meanwhile: the rpc may be parted from its
     * caller, and from its caller's arena. */
    uv_work_t pool;
    bool pooled; /* it is there */
    void (*work)(struct rpc *rpc);
    void (*worked)(struct rpc *rpc, int status);
    struct api at_work;
    struct arena work_arena;
    ProtobufCMessage *found;

    /* Of a call that waits: what it does when the client has gone, when the server drains or the
     * client may have gone, and when the transport takes another message; NULL: nothing. */
    void (*on_cancel)(struct rpc *rpc);
    void (*on_drain)(struct rpc *rpc);
    void (*on_pull)(struct rpc *rpc);
    void *state;
    bool cancelled;
    bool parted; /* from its caller, which has been answered */
    bool ended;  /* it has its outcome */

    struct list running; /* of those under way */
    struct list link;    /* of those that do something in a moment */
    void (*soon)(struct rpc *rpc);
};

/* Begin a call of the table. */
void rpc_start(struct methods *m, struct call *c);

/* Post the row's function, or another one, to its batcher; `done` is called on the loop. Its
 * request and reply are the rpc's. */
void rpc_post(struct rpc *rpc, void (*done)(struct batcher_request *q));

/* The same with the call's idempotency key: its reply is kept, and a reply that was kept is the
 * answer. */
void rpc_post_keyed(struct rpc *rpc, void (*done)(struct batcher_request *q));
struct rpc_keyed {
    ProtobufCMessage *message;
    const void *got; /* the engine's reply; NULL: the message was kept */
};
/* After `done`, until the end. */
const struct rpc_keyed *rpc_keyed(const struct rpc *rpc);

/* Do something in a turn of the loop of its own. The last one asked for is done. */
void rpc_soon(struct rpc *rpc, void (*what)(struct rpc *rpc));

/* A message of a stream; `on_pull` comes when there may be another. Not from within a call of the
 * transport's. */
void rpc_message(struct rpc *rpc, ProtobufCMessage *message);
/* One that others are sent, too, and whose bytes are made once (api/call.h). */
void rpc_message_shared(struct rpc *rpc, ProtobufCMessage *message, struct call_bytes *bytes);

/* The end, as the transaction that was answered says. Its memory is given back. */
void rpc_answered(struct rpc *rpc);
void rpc_keyed_answered(struct rpc *rpc);

/* The end: with a reply (NULL for a stream that has ended), or refused with the answer. The call's
 * `done` comes in a moment; nothing of the rpc may be under way. */
void rpc_finish(struct rpc *rpc, ProtobufCMessage *reply);
void rpc_refuse(struct rpc *rpc, const struct batcher_answer *answer);
void rpc_refuse_code(struct rpc *rpc, enum code code, const char *text);

/* Let a thread of the pool `work`, which touches nothing that is the caller's; then `worked` comes,
 * with UV_ECANCELED where it was not begun. Not while anything else of the call is under way. */
void rpc_pool(struct rpc *rpc, void (*work)(struct rpc *rpc),
              void (*worked)(struct rpc *rpc, int status));

/* Answer the caller of one whose store has been silent for too long. In a turn of its own. */
void rpc_give_up(struct rpc *rpc);

/* How the call is told to end, where it is: the client has gone, its deadline has passed, or the
 * server drains. */
void rpc_end_cancelled(struct rpc *rpc);

#endif
