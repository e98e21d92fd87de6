/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft_pool: threads that do one job after the other, begun as they are needed, and kept.
 *
 * Nothing waits in it: who gives a job and hears that all threads are busy gives it again after
 * `done`.
 */
#ifndef RUNNER_WEFT_POOL_H
#define RUNNER_WEFT_POOL_H

#include <signal.h>

#include "base/list.h"
#include "client/weft_within.h"

struct weft_pool;

/* One that is not given anywhere has an empty link. */
struct weft_job {
    struct list link;
};

struct weft_pool_options {
    unsigned threads_max;
    sigset_t mask;                      /* of the threads */
    void (*work)(struct weft_job *job); /* in a thread of the pool's */
    void (*done)(void *context);        /* likewise: one is done, and a thread has no work */
    void *context;
};

enum { WEFT_POOL_E_BUSY = 1, WEFT_POOL_E_NONE };

WEFT_WITHIN struct weft_pool *weft_pool_new(const struct weft_pool_options *options);

/* Returns 0 and begins the job; WEFT_POOL_E_BUSY: another one will be done sooner; or
 * WEFT_POOL_E_NONE: there is no thread, and none can be started. */
WEFT_WITHIN int weft_pool_give(struct weft_pool *p, struct weft_job *job);

/* The jobs that are done go to the end of `ret`. */
WEFT_WITHIN void weft_pool_take(struct weft_pool *p, struct list *ret);

/* Wait for all threads. Nothing is given any more; NULL is fine. */
WEFT_WITHIN void weft_pool_join(struct weft_pool *p);
/* After that. */
WEFT_WITHIN struct weft_pool *weft_pool_free(struct weft_pool *p);

#endif
