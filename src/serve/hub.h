/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub: who waits for what, and waking them after a commit.
 *
 * A claim with a long poll, a stream of events, an executor without work: each looks into the
 * store, and where it finds nothing it sleeps here until a commit brings something. There is one
 * hub per process and one seat per uv loop. Batchers tell it of their commits on their store
 * threads; what other programs commit comes through `bridge` (Postgres), and a slow look as a net.
 *
 *                      +------ woken() ------+
 *                      v                     |
 *     (idle) --look--> LOOKING --sleep--> ASLEEP --news--> (woken() on the loop)
 *                      |  news came meanwhile: woken() comes at once
 *                      +--forget--> (idle), from every state
 *
 * No wake-up is lost: whoever waits is known here from hub_look() on, which comes before the
 * request is posted. What was committed before is seen by that request; of what is committed after
 * it the hub hears, and keeps it for hub_sleep().
 *
 * Nobody is woken for nothing: news of a queue are a number of tasks, each promised to one of those
 * that wait, the longest asleep first, as many as it wants. Who leaves with less than it was
 * promised gives the rest back, and the next is woken. Who waits for events is woken by each commit
 * that has some, all of them; a crowd that waits for the same is woken together and then rests for
 * a while that grows with their number, so that watching does not slow what is watched.
 *
 *     static void claim_once(struct claim *c)
 *     {
 *         hub_look(&c->wait);
 *         batcher_post(writer, …, claimed);
 *     }
 *     static void claimed(…)                                          // and woken() is
 * claim_once()
 *     {
 *         if (leases.n || failed || nobody waits any more)
 *             hub_forget(&c->wait, leases.n);
 *         else
 *             hub_sleep(&c->wait, &(struct hub_found){.due_us = …});
 *     }
 */
#ifndef SERVE_HUB_H
#define SERVE_HUB_H

#include <uv.h>

#include "base/list.h"
#include "engine/tx.h"

enum hub_topic {
    HUB_QUEUE,      /* tasks of the queue `queue` that can be claimed */
    HUB_RUNS,       /* tasks of runs that can be claimed, whichever; all who wait are woken */
    HUB_RUN_EVENTS, /* events of the run `run` */
    HUB_EVENTS,     /* events of any kind */
    HUB_DELAYED,    /* tasks became DELAYED; all who wait are woken */
    HUB_PUSH,       /* stages that runners are called for, and runners; all who wait are woken */
};

struct hub;
struct hub_seat;
struct hub_place;

struct hub_options {
    /* Whoever has slept so long is woken once, in case its news went astray: half to all of it. 0:
     * HUB_NET_US. */
    int64_t net_us;
    uint64_t seed; /* of the jitter; 0: any */
};

#define HUB_NET_US (10LL * 1000000)
/* So many that watch the same are a crowd; a thousand of them are told five times a second. What
 * one costs was measured at 30 to 60 us. */
#define HUB_CROWD      32u
#define HUB_WATCHER_US 200

struct hub *hub_new(const struct hub_options *options);
/* No seat is left, and no batcher that tells it. */
struct hub *hub_free(struct hub *h);

/* On the loop's thread. Nobody waits on a seat that is freed; the loop must run once more. */
int hub_seat_new(struct hub *h, uv_loop_t *loop, struct hub_seat **ret);
struct hub_seat *hub_seat_free(struct hub_seat *seat);

/* Its memory and the queue's name are the caller's, and stay until hub_forget(). */
struct hub_wait {
    struct hub_seat *seat;
    enum hub_topic topic;
    struct str queue;
    int64_t run;
    int64_t until_us;                  /* monotonic: it is woken then at last; 0: never */
    int64_t want;                      /* tasks that it takes at once; 0 counts as 1 */
    int64_t looks_us;                  /* by itself it looks so often; 0: never */
    void (*woken)(struct hub_wait *w); /* on the seat's loop, never from within a call of these */
    void *context;

    /* The hub's. */
    struct hub_place *place;
    struct list link;
    int state;
    bool news;
    bool was_woken;
    int64_t promised; /* that the look which goes on is for … */
    int64_t later;    /* … and since it began */
};

/* What a look that found nothing learned of its queue. */
struct hub_found {
    int64_t due_us; /* monotonic: then there may be something (the next DELAYED task, a rate); 0:
                       nobody knows of anything. What is past counts as HUB_DUE_US_MIN from now */
    bool held;      /* tasks are READY and a limit holds them back: an end of others' leases is news
                       too */
};

#define HUB_DUE_US_MIN 5000

/* Before each look, that is, before its request is posted. */
void hub_look(struct hub_wait *w);
/* The same for one that takes part in the look of `other`, which waits for the same on this loop
 * and looks: what came since that began is news for both. */
void hub_look_with(struct hub_wait *w, const struct hub_wait *other);
/* It found nothing: sleep until there are news; woken() comes once, then hub_look() again. `found`
 * may be NULL. */
void hub_sleep(struct hub_wait *w, const struct hub_found *found);
/* Over: it got `took` tasks (0 where it never heard, or found none), and waits no more. From any
 * state, also a second time. */
void hub_forget(struct hub_wait *w, int64_t took);

/* News: something can be looked for. */
struct hub_news {
    enum hub_topic topic;
    struct str queue;
    int64_t run;
    int64_t n;  /* tasks; HUB_ALL: everybody who waits is to look */
    bool freed; /* leases ended: news only where a limit holds tasks back */
};

#define HUB_ALL INT64_MAX

/* What a transaction brought, after its commit. Its store thread calls it, before it answers the
 * requests. */
void hub_committed(struct hub *h, const struct tx *tx);
/* A transaction took place, and what it brought is not known any more: everybody looks, here and
 * beyond the outlet. */
void hub_committed_unseen(struct hub *h);
/* What another program brought. Any thread. */
void hub_told(struct hub *h, const struct hub_news *list, size_t n);
/* Everybody looks again: nobody knows what was missed. Any thread. */
void hub_all(struct hub *h);

/* Each commit's news go to one other, too; it is called on store threads, several at once, and
 * borrows the list; an empty one is everything. NULL: none. Not while batchers commit. */
typedef void hub_outlet(void *context, const struct hub_news *list, size_t n);
void hub_set_outlet(struct hub *h, hub_outlet *outlet, void *context);

struct hub_stats {
    size_t waiting; /* looking or asleep */
    int64_t woken;  /* so often was woken() called */
    int64_t late;   /* … because of the net alone */
};
void hub_stats(struct hub *h, struct hub_stats *ret);

#endif
