/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: the stored changes, in order.
 */
#ifndef ENGINE_EVENT_H
#define ENGINE_EVENT_H

#include "engine/tx.h"

#define EVENT_LIST_MAX 10000

struct event_list {
    int64_t run;   /* 0: all */
    int64_t after; /* a seq */
    int64_t max;
};

struct event_rows {
    struct event *list;
    size_t n;
};

/* The newest event of a run, 0 where there is none. */
int event_newest(struct tx *tx, const int64_t *run, int64_t *reply);

/* Those of the transaction itself are there when it has been committed. The events of a run and its
 * tasks appear in the order of their numbers, since whoever moves them holds the run's lock; with
 * several programs on Postgres, those of another run or of a worker may appear behind numbers that
 * were told before. */
int event_list(struct tx *tx, const struct event_list *req, struct event_rows *reply);

#endif
