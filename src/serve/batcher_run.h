/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher_run: one transaction over a batch of requests.
 *
 * Private to the batcher. A `struct batcher_run` is a store connection and what its thread needs;
 * nothing of it is seen by another thread.
 */
#ifndef SERVE_BATCHER_RUN_H
#define SERVE_BATCHER_RUN_H

#include "serve/batcher.h"

/* Requests that share a transaction. */
struct batch {
    struct list requests;
    size_t n;
    size_t bytes;
    bool in_doubt; /* they ran, and nobody knows yet whether they were committed */
};

/* Memory that requests which ran together share; the last of them frees it. */
struct batcher_shared {
    struct arena arena;
    int refs;
    struct batcher_shared *next; /* of the same attempt */
};

struct batcher_run {
    struct store_options options;
    struct hub *hub;
    struct store *store; /* one that could not be opened is kept for its error */
    bool open;
    struct tx tx;
    struct prng prng;
    struct arena arena; /* of the transaction itself, outside the requests */
    struct batcher_shared *shared;
    void (*ran)(void *context, struct batcher_request *const *list, size_t n, int64_t now, int r);
    void *ran_context;
    struct batcher_request **order; /* of those that ran, for `ran`; in the arena */
    size_t order_n, order_cap;
};

/* What the edge does about a fault of the store. */
enum remedy {
    REMEDY_NONE,  /* waiting does not cure it */
    REMEDY_RERUN, /* at once, with jitter */
    REMEDY_WAIT,  /* it comes back by itself: whoever has patience waits */
    REMEDY_ROOM,  /* somebody has to make room or let go: who waits for ever waits */
};

struct batcher_remedy {
    int fault;
    enum code code;
    enum remedy remedy;
};

/* NULL: a fault that is not the store's condition but somebody's bug. */
const struct batcher_remedy *batcher_run_remedy(int fault);

/* Run all of the batch and commit, or ask what became of a commit in doubt. 0: each request has its
 * answer, to be delivered; else the store's fault, and none has been answered. */
int batcher_run(struct batcher_run *run, struct batch *batch);
void batcher_run_deinit(struct batcher_run *run);

#endif
