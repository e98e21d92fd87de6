/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: the worker inside a weft program: it carries one run, or every run of a server that is
 * not carried by who started it.
 *
 * It takes leases and ends them through the same engine functions as any worker: registers,
 * heartbeats every second, claims for all its free slots, completes. What has ended and what is
 * free go to the store together, one post at a time: while a commit is under way, the next post
 * gathers. A process is started only after the commit that holds its lease.
 *
 *     JOINING --registered--> WORKING --the run has ended, drained--> LEAVING --left--> OVER
 *        ^                       |  |
 *        +--all dead-- LOST <----+  +--the store fails for good--> FAILED --all dead--> OVER
 *            (the store took its leases away)
 *
 * While the store is away, processes go on and what ended is kept until it is back. Only where
 * other machines share the store, it stops its own processes after LOCAL_FENCE_US without a
 * heartbeat, long before anybody else may take their tasks.
 */
#ifndef SERVE_LOCAL_H
#define SERVE_LOCAL_H

#include <uv.h>

#include "serve/batcher.h"
#include "work/executor.h"
#include "work/guardian.h"

/* Leases beyond its processes that the worker may hold for a moment: its slots in the store are
 * both together. */
#define LOCAL_AHEAD_MAX 64u

#define LOCAL_TTL_US   (60LL * 1000000)
#define LOCAL_BEAT_US  (1LL * 1000000)    /* while it holds leases, or has a run to carry … */
#define LOCAL_REST_US  (LOCAL_TTL_US / 5) /* … and otherwise */
#define LOCAL_FENCE_US (45LL * 1000000)
/* So long before the end of a drain, what still runs is asked to stop. */
#define LOCAL_GRACE_US (5LL * 1000000)

struct local;
struct hub_seat;

struct local_events {
    void *context;
    void (*line)(void *context, int64_t task, struct str text);
    void (*progress)(void *context, int64_t task, int percent, struct str text);
    /* Once: no process is left. OK: the run has ended, or it was drained; else why it is not
     * carried on. */
    void (*over)(void *context, enum code code, struct str text);
};

struct local_options {
    uv_loop_t *loop;
    struct batcher *writer;
    struct batcher *reader;
    struct batcher_home *home; /* of the loop */
    struct executor
        *executor; /* of the loop; borrowed, and `slots` of its places are free for it */
    struct guardian *guardian;
    struct guardian_self self;
    const char *data; /* absolute, as `dir` */
    const char *dir;  /* that relative folders of runs start from */
    const char *const *env;
    int64_t run; /* 0: any that is not local */
    struct hub_seat
        *seat;  /* of the loop: who says that there is work; NULL: it looks every second */
    bool scans; /* it does the reaper's scan, since nobody else does */
    unsigned slots;
    bool shared; /* other machines work on this store */
    struct local_events events;
};

/* Starts to register; the rest happens in the loop. */
struct local *local_new(const struct local_options *options);

/* Ask for the run's end: idle tasks are cancelled at once, running ones are stopped when the store
 * has taken the request. */
void local_cancel(struct local *l);

/* Take nothing more, give back what does not run, and leave when the last process has ended; what
 * runs longer than `grace_us` is stopped. */
void local_drain(struct local *l, int64_t grace_us);

/* Kill everything now; it is over as soon as the store has heard of it, or does not answer. */
void local_kill(struct local *l);

/* Whether requests of it are still under way. Whoever frees it after `over` waits until there are
 * none (freeing the batchers answers them all). */
bool local_busy(const struct local *l);

/* After `over`, not busy. The loop must run once more, to close the handles. */
struct local *local_free(struct local *l);

#endif
