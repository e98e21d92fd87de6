/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_held: a worker, and the leases that it holds, for the files that make it up: weft_join.c
 * registers it and heartbeats, weft_report.c tells the server what has ended, weft_run.c claims and
 * works, weft_worker.c begins and ends it.
 *
 * "Locked": the caller holds the worker's lock. No call to the server is made under it.
 */
#ifndef CLIENT_WEFT_HELD_H
#define CLIENT_WEFT_HELD_H

#include <pthread.h>

#include "base/clock.h"
#include "client/outbox.h"
#include "client/weft_within.h"

#define WEFT_OUTBOX_MAX 100000 /* beyond so many unreported ends nothing is claimed */

/*
 * A claim that was not answered may have been granted, and the heartbeat would keep its leases for
 * ever: so the next claim of the queue is the same once more, and gives them. Where that brings
 * nothing, an earlier try may still wait at a server and be granted later: the worker registers
 * again, which fences it.
 */
struct weft_asked {
    struct list link;
    char *queue;
    struct weft_id worker; /* the incarnation; another one has nothing of it */
    size_t max;
    int64_t wait_ms;
    unsigned sent;  /* so often it went to the server */
    uint64_t joins; /* of the worker, when it was asked last */
    char key[ASKER_KEY_BYTES];
};

struct weft_worker {
    struct weft *client;
    char *name, *labels;
    char *more; /* of its registration: `,"type":"build"`; NULL: nothing */
    unsigned slots;
    int64_t ttl_ms;
    bool takeover;
    void (*log)(void *context, const char *text);
    void *log_context;

    atomic_bool stopping, local;
    pthread_mutex_t
        joining; /* one thread registers at a time, and no claim begins; before `lock` */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct weft_id id; /* of the incarnation; empty before the first */
    uint64_t joins;    /* registrations begun */
    bool registering;  /* one of them is not answered */
    /* It is not any more; NULL: nobody asks. Called by whoever registered. */
    void (*joined)(void *context);
    void *joined_context;
    int64_t every_ms;
    struct list held;  /* leases that have not ended */
    struct list ended; /* those that have, in the order of their lines in the outbox */
    size_t leases_n;   /* of both lists */
    size_t claiming;   /* slots of claims under way */
    struct list asked; /* struct weft_asked: claims that were not answered */
    struct outbox *outbox;
    bool closed; /* the threads end */
    bool news;   /* for the reporter: do not wait any longer */
    pthread_t beating, reporting;
};

/* A worker in four steps, for those of weft_worker_start() and weft_worker_close(), and for others
 * that do more between them (src/runner). Options are none of NULL. */
WEFT_WITHIN int weft_worker_new(struct weft *w, const struct weft_worker_options *o,
                                struct weft_worker **ret, struct weft_error *ret_error);
/* Register, and begin to heartbeat and report. After a failure it is as before. */
WEFT_WITHIN int weft_worker_enter(struct weft_worker *k, struct weft_error *ret_error);
/* Give back what has not ended, wait so long for the reports, and take leave. */
WEFT_WITHIN void weft_worker_leave(struct weft_worker *k, int64_t patience_ms);
/* One that has not entered, or has left. NULL is fine. */
WEFT_WITHIN struct weft_worker *weft_worker_free(struct weft_worker *k);
/* HOST-8hex, for free(). */
WEFT_WITHIN char *weft_worker_name_new(void);

/* Tell the program's log one sentence. */
WEFT_WITHIN void weft_held_say(const struct weft_worker *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

WEFT_WITHIN void weft_held_lock(struct weft_worker *k);
WEFT_WITHIN void weft_held_unlock(struct weft_worker *k);
/* Wait for a change, at most until `at` of clock_monotonic(). Locked. */
WEFT_WITHIN void weft_held_wait(struct weft_worker *k, int64_t at);
/* Likewise, of any lock, with a condition that was made for it. It may come back early. */
WEFT_WITHIN void weft_held_cond_init(pthread_cond_t *cond);
WEFT_WITHIN void weft_held_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t at);
/* In so long, of clock_monotonic(): now where it is negative, never (INT64_MAX) where it is too
 * long to be counted. */
WEFT_WITHIN int64_t weft_held_in_ms(int64_t ms);

/* The worker has the lease from now on, and a reference to it. Locked. */
WEFT_WITHIN void weft_held_take(struct weft_worker *k, struct weft_lease *lease);
/* The worker has no more to do with the lease. Locked. */
WEFT_WITHIN void weft_held_let_go(struct weft_worker *k, struct weft_lease *lease);
/* The lease has ended: it moves to those that are to be told. Locked. */
WEFT_WITHIN void weft_held_add_line(struct weft_worker *k, struct weft_lease *lease,
                                    struct str line);

/* A list of tokens of a reply: others have these tasks now; these are asked to stop. */
WEFT_WITHIN void weft_held_forget(struct weft_worker *k, struct str tokens);
WEFT_WITHIN void weft_held_stop(struct weft_worker *k, struct str tokens);

/* Register; no other thread does, or `joining` is held. tries 0: as the client was opened. */
WEFT_WITHIN int weft_join(struct weft_worker *k, unsigned tries, struct weft_error *ret_error);
WEFT_WITHIN struct weft_id weft_join_id(struct weft_worker *k);
/* Whether the error says that this incarnation is over. */
WEFT_WITHIN bool weft_join_is_over(const struct weft_error *e);
/* The incarnation `was` is over, or shall be; the next one asks for what it held. Several threads
 * may want it at once, and the first of them is enough. */
WEFT_WITHIN void weft_join_again(struct weft_worker *k, struct weft_id was);
/* POST /v1/workers/ID:VERB, once: "drain". */
WEFT_WITHIN void weft_join_say(struct weft_worker *k, const char *verb);
WEFT_WITHIN void weft_join_leave(struct weft_worker *k);

WEFT_WITHIN void weft_asked_free(struct weft_asked *asked);

/* The two threads of a worker, until `closed`. */
WEFT_WITHIN void *weft_join_beat(void *context);
WEFT_WITHIN void *weft_report_for_ever(void *context);

#endif
