/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_state: what the files of HTTP/1.1 share. Only http1*.c include it.
 *
 *     http1.c           bytes in and out, and times: which piece of a request they belong to
 *     http1_request.c   what a request says: which call it is, and whether it may be one
 *     http1_call.c      its answer: a reply, a problem, or a stream of events
 */
#ifndef NET_HTTP1_STATE_H
#define NET_HTTP1_STATE_H

#include "api/call.h"
#include "net/chunk.h"
#include "net/http1.h"
#include "net/http1_reply.h"
#include "net/http_head.h"
#include "net/problem.h"
#include "net/route.h"

#define HTTP1_BYTES_MAX ((size_t)1 << 30) /* not a client's choice: a bug where it is passed */

enum http1_state { HTTP1_HEAD, HTTP1_BODY, HTTP1_CALL };

/* A request from the end of its head to `done`, which may come after the connection has gone. */
struct http1_exchange {
    struct call call;
    struct http1 *h; /* NULL: the client has gone */
    struct net_shared *shared;
    struct route_match match; /* its values are the arena's */
    struct str query, if_match, if_none_match, last_event_id;
    struct buf body;
    bool expired;
    bool cancelled;
};

struct http1 {
    struct protocol p;
    enum http1_state state;
    struct buf in; /* what was read and not yet understood, from in_at on */
    size_t in_at;
    size_t looked; /* so much of it has no line end that was not tried */
    struct buf out;
    size_t unsent; /* bytes of `out`, as counted in shared->bodies_bytes */
    size_t out_at;
    bool fresh; /* nothing was ever read */
    bool ended; /* the client sends no more */

    /* The request that is being read or answered. */
    struct http1_exchange *x;
    struct chunk chunk;
    struct http1_reply reply;
    char id[CALL_ID_BYTES_MAX]; /* of reply.id */
    bool bodiless;              /* it is a HEAD */
    bool chunked;
    uint64_t left;     /* of a body with a length */
    uint64_t received; /* of the body */
    int64_t since;     /* when the head, the body or the call began, or the connection fell idle */
    bool head_begun;
    int64_t sent_at;  /* the newest bytes of a stream */
    bool streaming;   /* its head has gone out */
    bool pull_wanted; /* its newest message has been taken */
};
static inline int64_t http1_now(const struct http1 *h)
{
    return h->p.host->shared->now();
}

static inline struct net_shared *http1_shared(const struct http1 *h)
{
    return h->p.host->shared;
}

static inline void http1_refused(const struct http1 *h, enum metrics_refusal limit)
{
    http1_shared(h)->metrics.refused[limit]++;
}

/* http1.c: say to the host what it shall know. */
void http1_settle(struct http1 *h);

/* http1_request.c. A whole head: refuse it, answer it, or go on to its body. */
void http1_take_request(struct http1 *h, const struct http_head *head);
/* The body is whole: refuse the request, or start its call. */
void http1_begin_call(struct http1 *h);
/* A body that will have `whole` bytes, as far as one knows, and now gets `more`. Returns whether it
 * was refused for that. */
bool http1_too_large(struct http1 *h, uint64_t whole, uint64_t more);

/* http1_call.c. A whole reply; the request is over with it. */
void http1_answer(struct http1 *h, const char *type, struct str body);
void http1_answer_problem(struct http1 *h, const struct problem *p);
void http1_refuse(struct http1 *h, int status, enum code code, struct str text);
void http1_refuse_code(struct http1 *h, enum code code, struct str text);
/* Where the next request begins is not known any more. */
void http1_refuse_and_close(struct http1 *h, int status, enum code code, const char *text);

struct http1_exchange *http1_exchange_new(struct http1 *h, const struct route_match *m);
void http1_exchange_free(struct http1_exchange *x);
/* Part it from its connection, which reads on. */
void http1_drop(struct http1 *h);
/* Tell the call that its client waits no more, once. */
void http1_cancel(struct http1_exchange *x);

/* Of a stream: its head, where it has not gone out, and bytes as HTTP has them. */
void http1_stream_head(struct http1 *h);
void http1_stream_bytes(struct http1 *h, struct str bytes);

#endif
