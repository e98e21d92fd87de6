/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reaper: the one periodic scan.
 *
 * It makes due tasks READY, moves silent workers to SUSPECT and LOST, and ends attempts past their
 * deadline and leases past their end. Local workers are only reported: whoever is on their machine
 * proves their processes dead first and then calls worker_lose(). Each kind of work is bounded per
 * call; `more` asks for another.
 */
#ifndef ENGINE_REAPER_H
#define ENGINE_REAPER_H

#include "engine/tx.h"
#include "engine/worker.h"

#define REAPER_BATCH   1000u /* tasks */
#define REAPER_PIECES  64    /* of blocks, that were not renewed */
#define REAPER_WORKERS 500   /* that are lost */

struct reaper_reply {
    int64_t promoted;    /* DELAYED tasks that became READY */
    int64_t lost;        /* workers */
    int64_t timed_out;   /* attempts */
    int64_t expired;     /* leases that no heartbeat keeps, and that were not renewed in time */
    int64_t next_due_at; /* of the tasks that are DELAYED now; 0: none. One that somebody else
                            is moving may be overdue; the next scan finds it */
    bool more;
    struct worker_rows silent_local; /* past their TTL */
};

int reaper_scan(struct tx *tx, const void *unused, struct reaper_reply *reply);

#define REAPER_FORGET        2000 /* rows of one kind */
#define REAPER_FORGET_PIECES 500  /* that have ended */

struct reaper_forgotten {
    int64_t attempts; /* that were kept for their queue's retention */
    bool more;        /* another call finds more */
};

/* The slow scan, once a minute or so and again where there is more: forgets attempts of queues past
 * their retention, guests that claim no more, replies that were kept for a day, and workers that
 * were over a week ago. */
int reaper_forget(struct tx *tx, const void *unused, struct reaper_forgotten *reply);

#endif
