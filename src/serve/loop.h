/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: what the server's parts need of an event loop: to be woken from another thread, and timers.
 *
 * It is libuv's, or one that is turned by hand: then nothing happens but within loop_turn(), in the
 * order in which it was asked for and by the clock of clock.h. The simulator turns it so; whoever
 * is woken sees no difference. Where the uv_loop_t is NULL, it is the loop that this thread has
 * under its hands.
 */
#ifndef SERVE_LOOP_H
#define SERVE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

/* A loop that is turned by hand. */
struct loop_hand {
    struct list soon;   /* handles that were woken or closed, in that order */
    struct list timers; /* by their times, and those of one time as they were started */
};

void loop_hand_init(struct loop_hand *h);
/* From now on it is this thread's; NULL: none. */
void loop_use(struct loop_hand *h);
/* Call what is to be called by now; what is asked for meanwhile has the next turn. False: there was
 * nothing. */
bool loop_turn(struct loop_hand *h);
/* When there is something to call, monotonic; INT64_MAX: nothing is asked for. */
int64_t loop_due(const struct loop_hand *h);

/* A wake or a timer. */
struct loop_handle {
    union {
        uv_handle_t any;
        uv_async_t wake;
        uv_timer_t timer;
    } uv;
    void (*called)(struct loop_handle *h);
    void (*over)(struct loop_handle *h); /* NULL: it is not closed */
    struct loop_hand *hand;              /* NULL: it is libuv's */
    struct list link;
    int64_t at_us;
};

/* `called` comes on the loop after a send, once for those that came before it. Returns 0 or a
 * fault. */
int loop_wake_init(uv_loop_t *loop, struct loop_handle *h, void (*called)(struct loop_handle *h));
/* Any thread. */
void loop_wake(struct loop_handle *h);

void loop_timer_init(uv_loop_t *loop, struct loop_handle *h, void (*called)(struct loop_handle *h));
/* It keeps the loop alive no longer. */
void loop_timer_unref(struct loop_handle *h);
/* Once, in so many milliseconds, and instead of what was asked for before. */
void loop_timer_start(struct loop_handle *h, uint64_t ms);
void loop_timer_stop(struct loop_handle *h);

/* `over` comes on the loop, and then its memory is free. */
void loop_close(struct loop_handle *h, void (*over)(struct loop_handle *h));

#endif
