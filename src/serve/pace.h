/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace: a share of a loop's time, for work that can wait.
 *
 * Who has something to send to a watcher asks for a turn; turns are taken in the order in which
 * they were asked for, until PACE_SLICE_US have passed. What they took, with the writes that
 * followed, is paid with PACE_REST times as long a rest, in which the loop and the processors are
 * the others'. What was not used in PACE_SAVED_US is there at once, so that a few watchers never
 * rest.
 *
 *     (idle) --asked--> TURNS --the slice is over--> PAYING --paid, or nobody asks--> (idle)
 *                         ^                             |
 *                         +---somebody asks, rested-----+
 *
 * Everything happens on the loop's thread.
 */
#ifndef SERVE_PACE_H
#define SERVE_PACE_H

#include <uv.h>

#include "base/list.h"

#define PACE_SLICE_US 500LL
#define PACE_REST     9        /* a tenth of the time at most is the watchers' */
#define PACE_SAVED_US 20000LL  /* a tenth of it may be taken without a rest */
#define PACE_OWED_US  100000LL /* no rest is longer, whatever else the loop did meanwhile */

struct pace;

/* Its memory is the caller's, and stays until the turn came or pace_forget(). Zero at first. */
struct pace_turn {
    void (*come)(struct pace_turn *t); /* never from within pace_ask() */

    struct list link; /* the pace's */
    bool asked;
};

/* Returns 0 or a fault. */
int pace_new(uv_loop_t *loop, struct pace **ret);
/* Nobody asks for a turn; the loop must run once more. */
struct pace *pace_free(struct pace *p);

/* One turn, in the loop's next turn or after the rest. Once, however often it is asked for. */
void pace_ask(struct pace *p, struct pace_turn *t);
void pace_forget(struct pace_turn *t);

#endif
