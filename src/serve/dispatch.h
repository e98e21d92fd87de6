/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch: stages that are ready reach runners, as far as this server calls them (docs/plans.md).
 *
 * It sleeps at the hub until a commit brings something to give out, asks the engine for a round
 * (engine/grant.h), and calls the runner of each lease after the commit. What a call comes to is a
 * completion, an acceptance or a refusal, told to the store with those that came at the same time.
 *
 *     CALLING --answered--> TELLING --the store has it--> (gone)
 *        |  ^ stop: the runner is told, and has DISPATCH_STOP_US to answer
 *        +--the lease was taken back: the call is cancelled, nothing is told--> (gone)
 *
 * Meanwhile it keeps the leases of sync calls alive, tells runners of stages that are to be
 * cancelled, and leaves a runner alone whose calls failed again and again, until it answers a Ping.
 * It belongs to one loop, libuv's or one that is turned by hand (loop.h).
 */
#ifndef SERVE_DISPATCH_H
#define SERVE_DISPATCH_H

#include "engine/grant.h"
#include "net/caller.h"
#include "serve/batcher.h"
#include "serve/hub.h"

#define DISPATCH_FLIGHTS_MAX GRANT_LEASES_MAX  /* calls under way at once */
#define DISPATCH_KEEP_US     (10LL * 1000000)  /* leases of sync calls are kept so often … */
#define DISPATCH_STOP_US     (10LL * 1000000)  /* after Cancel, then the call is cut */
#define DISPATCH_ERRAND_US   (5LL * 1000000)   /* of a Cancel or a Ping … */
#define DISPATCH_FAREWELL_US (1LL * 1000000)   /* … of a server that ends */
#define DISPATCH_PING_US     (30LL * 1000000)  /* a runner without calls is asked so often … */
#define DISPATCH_KNOWN_US    (600LL * 1000000) /* … for so long since the last one */
#define DISPATCH_CANCELS_US  (100LL * 1000)   /* what is to be cancelled is read at most so often */
#define DISPATCH_OPEN_US     (10LL * 1000000) /* a breaker */
#define DISPATCH_FAILURES    5

/* The names of its requests. */
#define DISPATCH_ASK_ROUND    "dispatch.round"
#define DISPATCH_ASK_ACCEPT   "dispatch.accept"
#define DISPATCH_ASK_REFUSE   "dispatch.refuse"
#define DISPATCH_ASK_KEEP     "dispatch.keep"
#define DISPATCH_ASK_COMPLETE "dispatch.complete"

/* How runners are called: net/caller.h, or a test's. */
struct dispatch_wire {
    void *context;
    int (*peer)(void *context, struct str address, struct caller_peer **ret, const char **ret_why);
    void (*leave)(struct caller_peer *p);
    void (*start)(struct caller_peer *p, struct caller_call *call);
    void (*cancel)(struct caller_call *call);
};

struct dispatch_options {
    uv_loop_t *loop; /* NULL: by hand */
    struct hub_seat *seat;
    struct batcher *writer;
    struct batcher_home *home;
    struct dispatch_wire wire;
    struct str callback; /* this server's address, for runners; borrowed */
};

struct dispatch;

void dispatch_new(const struct dispatch_options *options, struct dispatch **ret);

/* Nothing more is given out. What is called has so long to answer; then calls are cut and their
 * attempts lost, and what was not sent goes back. `over` comes once, on the loop, and it is freed.
 */
void dispatch_drain(struct dispatch *d, int64_t grace_us, void (*over)(void *context),
                    void *context);

/* Since the beginning, and of this moment. */
enum dispatch_count {
    DISPATCH_ROUNDS,
    DISPATCH_GRANTS,
    DISPATCH_ACCEPTED,
    DISPATCH_REFUSED,
    DISPATCH_UNREACHABLE,
    DISPATCH_COMPLETED,
    DISPATCH_BAD_REPORTS,
    DISPATCH_BROKEN,
    DISPATCH_TAKEN_BACK,
    DISPATCH_CANCELS,
    DISPATCH_PINGS,
    DISPATCH_CALLING,
    DISPATCH_TELLING,
    DISPATCH_RUNNERS,
    DISPATCH_BREAKERS_OPEN,
    DISPATCH_COUNT_N
};

struct dispatch_stats {
    int64_t n[DISPATCH_COUNT_N];
};
/* Any thread, as what follows. */
void dispatch_stats(const struct dispatch *d, struct dispatch_stats *ret);

/* Incarnations that this server calls not now, since calls to them failed; in the arena, at most
 * GRANT_EXCLUDED_MAX. */
size_t dispatch_left_alone(struct dispatch *d, struct arena *a, const int64_t **ret);

#endif
