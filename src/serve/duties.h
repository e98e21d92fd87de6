/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duties: what one of the servers does for all: the reaper's scan, and forgetting what is old.
 *
 *     WAITING --nobody has the duty--> HOLDING --cut off from the store for the ttl--> WAITING
 *
 * One transaction every renew_us asks for the duty and, where it is had, scans; there are more only
 * when a task is due before that, and while there is more to do. It lives on a loop.
 */
#ifndef SERVE_DUTIES_H
#define SERVE_DUTIES_H

#include "engine/duty.h"
#include "engine/reaper.h"
#include "serve/batcher.h"
#include "serve/hub.h"

#define DUTIES_TTL_US    10000000LL
#define DUTIES_RENEW_US  3000000LL
#define DUTIES_FORGET_US 60000000LL

/* The name of its transaction, and what that answers; the reaper's part where the duty is held. */
#define DUTIES_TURN "duties.turn"
struct duties_turn {
    struct duty_reply duty;
    struct reaper_reply reaper;
    struct reaper_forgotten forgotten;
};

struct duties_options {
    uv_loop_t *loop;
    struct batcher_home *home; /* of the loop */
    struct hub_seat *seat;     /* likewise */
    struct batcher *writer;
    struct str holder;        /* of this program's life, as no other has it; copied */
    bool alone;               /* no other server can be on this store */
    int64_t ttl_us, renew_us; /* 0: the above */
};

struct duties;

void duties_new(const struct duties_options *options, struct duties **ret);
/* Nothing is begun any more; what is held is given up, so that another server need not wait. `over`
 * comes on the loop, and then it is gone; the writer must still be there until then. */
void duties_stop(struct duties *d, void (*over)(void *context), void *context);

struct duties_stats {
    bool held;
    int64_t scans;
    int64_t promoted, lost, timed_out, expired, forgotten;
};
void duties_stats(const struct duties *d, struct duties_stats *ret);

#endif
