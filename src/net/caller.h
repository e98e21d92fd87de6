/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller: unary gRPC calls to others, over one HTTP/2 connection to each address.
 *
 * A caller belongs to one uv loop. A peer is an address that is called; it connects with its first
 * call and again with the next one after it was cut. What an address does that hangs, refuses or
 * talks nonsense costs its own calls their time and nobody else any (caller_link.h has the life of
 * a connection). After a connection that failed, the address rests for a while that grows, and what
 * is called meanwhile ends at once.
 *
 *     queued --a connection has room--> sent --answered, deadline, cancelled, cut--> done
 *       +--refused, no connection, deadline, cancelled-------------------------------^
 *
 * Calls of one peer are sent in the order in which they came. `sent` tells, of a call that ended
 * with an error, whether its request can have reached the other side: where it is false, nobody has
 * begun it. A connection takes calls only when the other side has greeted it as HTTP/2, so that
 * something that accepts connections and never answers has been sent nothing.
 */
#ifndef NET_CALLER_H
#define NET_CALLER_H

#include <uv.h>

#include "base/arena.h"
#include "base/list.h"
#include "net/grpc_frame.h"

#define CALLER_CONNECT_US        5000000LL   /* name, connection, TLS and greeting together */
#define CALLER_PING_US           330000000LL /* gRPC servers forbid more than one in 5 minutes */
#define CALLER_PONG_US           20000000LL  /* and silent so long behind it: it is cut */
#define CALLER_IDLE_US           300000000LL /* without a call: it is closed */
#define CALLER_CALLS_MAX         10000u      /* of one peer, queued or sent */
#define CALLER_MESSAGE_BYTES_MAX (16u << 20) /* of a request and of a reply */
#define CALLER_RESOLVING_MAX     256u        /* hosts; each has a thread meanwhile */
#define CALLER_PATH_BYTES_MAX    200u
#define CALLER_TEXT_BYTES_MAX    1024u /* of a status's message; what is longer is cut */
#define CALLER_REST_US_MIN       100000LL
#define CALLER_REST_US_MAX       10000000LL

struct caller;
struct caller_peer;
struct caller_link;

/* Who we are and whom we trust; each is the name of a PEM file, and may be NULL. */
struct caller_files {
    const char *ca;          /* that signs those who are called; NULL: the machine's authorities */
    const char *certificate; /* ours, for those who ask for one */
    const char *key;
};

struct caller_options {
    uv_loop_t *loop;
    const struct caller_files *files; /* NULL: the machine's authorities, no certificate */
    uint64_t seed;                    /* of the jitter */
    /* 0: as the names above say. */
    size_t calls_max;
    size_t message_bytes_max;
    int64_t connect_us, ping_us, pong_us, idle_us;
};

/* For the metrics. */
struct caller_counts {
    uint64_t connected; /* since the beginning, as what follows */
    uint64_t failed;    /* connections that could not be made or were cut by a mistake */
    uint64_t calls;
    size_t links; /* now */
    size_t open;  /* calls now, queued or sent */
};

/* Filled by whoever calls, who owns it and what it points to until `done`. */
struct caller_call {
    const char *path; /* "/weft.v1.Runner/Run" */
    struct str message;
    int64_t deadline_us; /* monotonic; INT64_MAX: none */
    void (*done)(struct caller_call *c);
    void *context; /* the owner's */

    /* The answer, within `done`. */
    int status;       /* of gRPC; 0: it went well */
    struct str text;  /* of an error, as the other side or this one says it; bytes of any kind */
    struct str reply; /* of status 0 */
    bool sent;

    /* The caller's own. */
    struct caller_peer *peer; /* NULL: it is not under way */
    struct caller_link *link; /* NULL: it is queued, or has ended */
    struct list all;          /* the caller's open ones, or those that have ended */
    struct list turn;         /* the peer's queue, or the link's */
    unsigned tries;
    int32_t stream;
    size_t out_at; /* of head and message */
    char out_head[GRPC_FRAME_HEAD_BYTES];
    struct grpc_frame in;
    bool in_whole, in_typed, in_bad, in_over;
    int in_http, in_status;
    char words[CALLER_TEXT_BYTES_MAX]; /* of `text` */
};

enum { CALLER_E_BAD = 1 };

/* Returns 0, or CALLER_E_BAD with one sentence in the arena where a file cannot be used. */
int caller_new(const struct caller_options *options, struct arena *a, struct caller **ret,
               struct str *ret_error);

/* Every call ends as cancelled; `over` comes on the loop, and then the caller and its peers are
 * gone. */
void caller_close(struct caller *c, void (*over)(void *context), void *context);

/* Read the files again, for the connections that begin from now on. After CALLER_E_BAD the old ones
 * stay. */
int caller_reload(struct caller *c, struct arena *a, struct str *ret_error);

const struct caller_counts *caller_counts(const struct caller *c);

/* The peer of an address, to be given back with caller_leave(). Two of one address are the same
 * one. Returns 0, or CALLER_E_BAD with the end of a sentence ("has no port"). */
int caller_peer(struct caller *c, struct str address, struct caller_peer **ret,
                const char **ret_why);

/* Its connection is closed when its calls have ended. */
void caller_leave(struct caller_peer *p);

/* `done` comes once, and never from within a call of this header. */
void caller_start(struct caller_peer *p, struct caller_call *call);

/* It ends as cancelled, unless it has ended by now; the other side is told. Also after `done`. */
void caller_cancel(struct caller_call *call);

#endif
