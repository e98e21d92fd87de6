/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher_state: what a batcher is made of. Private to its files: posting and waiting stand in
 * batcher_post.c, what runs and what is in its way in batcher.c, what is said of that in
 * batcher_trouble.c.
 */
#ifndef SERVE_BATCHER_STATE_H
#define SERVE_BATCHER_STATE_H

#include <pthread.h>

#include "serve/batcher.h"
#include "serve/batcher_run.h"

#define BATCHER_ENDING STR("weft is ending")

/* A connection and its thread, and the batch that it has. */
struct batcher_worker {
    struct batcher *batcher;
    pthread_t thread;
    struct batcher_run run;
    struct batch batch;
    int64_t since;   /* when it was taken, monotonic */
    int64_t wait_us; /* before the next try, where the store is in the way */
    unsigned tries, reruns;
    struct store_watch watch;
    bool busy; /* it has a batch; under the lock */
    /* It has had no answer since it said so. Another clears it only while this has no batch. */
    bool troubled;
};

struct batcher {
    struct arena memory; /* of the options */
    size_t batch_max, waiting_max, waiting_bytes_max;
    bool says_trouble, by_hand;
    struct batcher_worker workers[BATCHER_CONNECTIONS_MAX];
    unsigned workers_n;   /* that have been started … */
    unsigned connections; /* … of so many */
    pthread_mutex_t lock;
    pthread_cond_t posted;
    /* Who waits for the store waits here, and takes no signal from those that wait for a post. */
    pthread_cond_t stopped;
    /* Under the lock. */
    struct list waiting[BATCHER_LANE_N];
    size_t waiting_n; /* in all lanes */
    unsigned busy;    /* threads that have a batch */
    unsigned idle;    /* threads that wait for a post */
    bool stop;
    double per_us; /* requests answered in a microsecond, lately */
    struct batcher_stats stats;
    enum code trouble;
    char trouble_text[BATCHER_TROUBLE_BYTES];
    int64_t silent_since; /* monotonic, as it was said; 0: it answers */
};

static inline struct batcher_request *batcher_request_of(struct list *link)
{
    return LIST_OF(link, struct batcher_request, link);
}

/* Give it this answer; it is delivered by batcher_home_deliver(). */
void batcher_answer(struct batcher_request *q, enum code code, struct str text);
void batcher_answer_withdrawn(struct batcher_request *q);

/* Into what waits, and out of it. Under the lock. */
void batcher_wait_add(struct batcher *b, struct batcher_request *q);
void batcher_wait_del(struct batcher *b, struct batcher_request *q);

/* Trouble lasts until the store answers: whom it kept waiting may have given up before. */
void batcher_trouble_begins(struct batcher_worker *w, enum code code, struct str text);
/* The store has answered this connection. */
void batcher_trouble_ends(struct batcher_worker *w);

#endif
