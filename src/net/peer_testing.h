/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_testing: a gRPC client in the same process, against a connection that has no socket.
 *
 * Time stands still but for what a test adds to peer.now_us. Bytes travel in peer_exchange(), in
 * pieces of `piece` bytes, until both sides are silent.
 */
#ifndef NET_PEER_TESTING_H
#define NET_PEER_TESTING_H

#include "net/fake_testing.h"
#include "net/grpc.h"

#include <nghttp2/nghttp2.h>

#define PEER_CALLS_MAX 4096

/* One call, as the client sees it. */
struct peer_call {
    int32_t id;
    struct buf send; /* what the client will send */
    size_t sent;
    bool open;       /* it sends more later */
    bool deferred;   /* and is waiting for it */
    struct buf head; /* "name: value\n" of all headers and trailers */
    struct buf data;
    bool ended;  /* END_STREAM came */
    bool closed; /* the stream is closed, under `error` */
    uint32_t error;
};

struct peer {
    struct net_shared shared;
    struct protocol_host host;
    struct protocol *p;
    struct fake fake;
    nghttp2_session *client;
    struct peer_call *calls;
    size_t calls_n;
    size_t piece;
    bool admits;
    unsigned wakes, goaways, pings;
    uint32_t goaway_error;
    int32_t goaway_last;
    size_t drained; /* bytes in all */
};

extern int64_t peer_now_us;

/* `window` is the client's for each stream; 0: the default. */
void peer_init(struct peer *p, uint32_t window);
void peer_deinit(struct peer *p);

/* Start a call with headers "name", "value", ..., NULL beside the usual ones, and a body that has
 * its framing already. */
struct peer_call *peer_call(struct peer *p, const char *path, struct str body,
                            const char *const *headers);
/* The usual: one message. */
struct peer_call *peer_get(struct peer *p, const char *queue, const char *const *headers);
struct peer_call *peer_watch(struct peer *p, const char *id, const char *after);
void peer_exchange(struct peer *p);
/* Bytes as they are, and what comes back. */
void peer_raw(struct peer *p, struct str bytes);

/* The value of a header or trailer; empty where there is none. */
struct str peer_field(const struct peer_call *c, const char *name);
int peer_status(const struct peer_call *c); /* grpc-status, -1: none */

/* Append a message with its five bytes. */
void peer_frame(struct buf *out, struct str message);

#endif
