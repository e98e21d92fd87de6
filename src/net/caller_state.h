/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller_state: what the files of the caller have in common.
 *
 * Nothing is done from within what tells of it: whoever has something to do is put into a list
 * (caller_wake_link(), caller_wake_peer(), caller_done()) and has its turn before and after the
 * loop polls, so that what came in one turn leaves in one write.
 */
#ifndef NET_CALLER_STATE_H
#define NET_CALLER_STATE_H

#include "base/map.h"
#include "base/prng.h"
#include "net/caller_link.h"
#include "net/limits.h"

struct caller_peer {
    struct list all; /* the caller's */
    struct list woken;
    struct caller *caller;
    struct caller_address address;
    char *text; /* as it was given, and its key */
    char authority[CALLER_ADDRESS_HOST_BYTES_MAX + sizeof("[]:65535")];
    unsigned holders;         /* caller_peer() without caller_leave() */
    unsigned links_n;         /* of it, whatever their state */
    size_t calls_n;           /* queued or sent */
    struct list queue;        /* of calls */
    struct caller_link *link; /* that takes calls, or will; NULL: none */
    int64_t failures;         /* in a row */
    int64_t rest_until_us;
    char why[200]; /* it rests */
};

struct caller {
    struct caller_options o;
    struct caller_tls *tls; /* NULL: no file was given, and nobody was called over TLS yet */
    struct caller_counts counts;
    struct caller_names names;
    struct list all_peers;
    struct map *peers; /* by text; the value is a pointer */
    struct list calls; /* under way */
    struct list ended; /* whose `done` is due */
    struct list links;
    struct list woken_links, woken_peers;
    struct prng prng;
    uv_timer_t timer;
    uv_prepare_t before;
    uv_check_t after;
    uv_idle_t idle; /* runs while something is left for the next turn */
    int64_t armed_us;
    size_t sockets_n; /* whose handles are not closed yet */
    unsigned handles; /* of its own, likewise */
    bool in_turn, closing;
    void (*over)(void *context);
    void *over_context;
    struct buf out;
    char out_bytes[NET_OUT_BYTES + 1], plain[NET_OUT_BYTES + 1], in[NET_OUT_BYTES];
};

void caller_wake_link(struct caller_link *l);
void caller_wake_peer(struct caller_peer *p);
/* The timer fires not later than then. */
void caller_want(struct caller *c, int64_t at_us);

/* A call's answer is set, and it is in no list but `all`. */
void caller_done(struct caller_call *call);
/* Nobody has begun it: it goes to the front of its peer's queue, or ends where it was there too
 * often. */
void caller_again(struct caller_call *call, const char *why);
/* A link takes no more calls, for the reason `why`. `well`: that is none for a rest. */
void caller_link_lost(struct caller_link *l, bool well, const char *why);
/* A link is freed. */
void caller_link_gone(struct caller_link *l);
/* The context of connections that begin now. */
struct caller_tls *caller_tls_of(struct caller *c);
/* The last handle may have been closed. */
void caller_closed(struct caller *c);

#endif
