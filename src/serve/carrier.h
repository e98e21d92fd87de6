/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carrier: a server's own worker (local.h), on a thread and loop of its own, and the executor,
 * which the processes of pools are started by, too.
 *
 * Starting a process takes a good part of a millisecond, which would delay the network. Before it
 * takes its first task, what dead programs of this machine left behind is ended and taken back. A
 * worker that gave up (the store is read-only, damaged, newer) begins again after a pause.
 *
 *     RECOVERING --> CARRYING --drain--> DRAINING --the worker has left--> OVER --free--> joined
 *                      |  ^
 *                      v  | CARRIER_PAUSE_MS
 *                     PAUSED
 */
#ifndef SERVE_CARRIER_H
#define SERVE_CARRIER_H

#include "pool/nursery.h"
#include "serve/batcher.h"
#include "serve/hub.h"
#include "work/guardian.h"

#define CARRIER_PAUSE_MS 5000u

struct carrier;

struct carrier_options {
    struct hub *hub;
    struct batcher *writer;
    struct batcher *reader;
    struct guardian *guardian;
    struct guardian_self self;
    const char *data; /* absolute */
    const char *here; /* that relative folders of runs start from */
    const char *const *env;
    unsigned slots;          /* 0: it takes no tasks */
    struct nursery *nursery; /* of the pools; NULL: none */
    unsigned pool_slots;     /* for their processes */
    bool shared;             /* other machines work on this store */
    /* Once, on its thread, after a drain: nothing of it runs any more. */
    void (*over)(void *context);
    void *context;
};

/* What is pointed to must outlive it. Returns 0 or a fault. */
int carrier_new(const struct carrier_options *options, struct carrier **ret);

/* Any thread. What runs longer than `grace_us` is stopped. */
void carrier_drain(struct carrier *c, int64_t grace_us);

/* After `over`, after the last process of a pool, and after the batchers have answered all
 * (batcher_free). NULL is fine. */
struct carrier *carrier_free(struct carrier *c);

#endif
