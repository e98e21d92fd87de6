/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_h2: calls over the client's side of one HTTP/2 connection, as bytes in and bytes out.
 *
 * nghttp2 inside, no socket and no clock. A call that was begun leaves by exactly one of `ended`,
 * `refused` and caller_h2_drop(), and its memory is not touched behind that.
 */
#ifndef NET_CALLER_H2_H
#define NET_CALLER_H2_H

#include "net/caller.h"

struct caller_h2;

struct caller_h2_options {
    const char *authority; /* borrowed until it is freed, as the context */
    bool tls;
    size_t message_bytes_max;
    void *context;
    void (*greeted)(void *context); /* the other side speaks HTTP/2, and takes calls */
    void (*going)(void *context);   /* it takes no more (GOAWAY); those under way go on */
    /* status, text, reply and `sent` are set. */
    void (*ended)(void *context, struct caller_call *call);
    /* Surely nobody has begun it; it may be begun elsewhere. */
    void (*refused)(void *context, struct caller_call *call);
};

struct caller_h2 *caller_h2_new(const struct caller_h2_options *o);
/* No call may be under way. NULL is fine. */
struct caller_h2 *caller_h2_free(struct caller_h2 *h);

/* Whether the other side allows another call by now. */
bool caller_h2_room(const struct caller_h2 *h);
size_t caller_h2_calls(const struct caller_h2 *h);
void caller_h2_begin(struct caller_h2 *h, struct caller_call *call, int64_t now_us);
/* The other side is told to stop. */
void caller_h2_drop(struct caller_h2 *h, struct caller_call *call);
/* The connection is lost: every call ends as unavailable, or is refused where it was not sent. */
void caller_h2_cut(struct caller_h2 *h, struct str why);

void caller_h2_feed(struct caller_h2 *h, struct str bytes);
void caller_h2_drain(struct caller_h2 *h, struct buf *out);
void caller_h2_ping(struct caller_h2 *h);
/* Nothing more comes of it. */
bool caller_h2_over(const struct caller_h2 *h);

/* How a call ends that is not under way here. */
void caller_h2_answer(struct caller_call *call, int status, struct str text);

#endif
