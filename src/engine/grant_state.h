/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grant_state: what the files of a round have in common.
 */
#ifndef ENGINE_GRANT_STATE_H
#define ENGINE_GRANT_STATE_H

#include "engine/grant.h"
#include "engine/grant_runner.h"

/* Where the statement that says so puts what follows the task row. */
enum {
    GRANT_READY_ACCEPT = ROW_TASK_COLUMNS,
    GRANT_READY_PROGRESS,
    GRANT_READY_REFUSALS,
    GRANT_READY_OUTCOME,
    GRANT_READY_PLACE
};

/* A run that has READY stages of a demand, in the order of turns. */
struct grant_run {
    int64_t run;
    size_t *stages; /* rows of the answer */
    size_t n, dealt;
    int64_t asked;
};

struct grant_demand {
    struct str text;
    struct placement_demand placement;
    struct grant_runners runners; /* of its type */
    int64_t room;                 /* leases that they may have at most */
    struct grant_run *turns;
    size_t turns_n;
    int64_t served; /* the run that got the last one; 0: none */
    bool left;      /* not all of its stages were looked at */
};

/* A stage that has been placed. */
struct grant_placed {
    struct task_row row;
    size_t at; /* its row in the answer */
    struct grant_demand *demand;
    size_t runner; /* among those of the demand */
    struct str candidates;
    struct str args;
    bool dropped;
};

struct grant_room {
    int64_t run, left;
};

struct grant_state {
    struct tx *tx;
    const struct grant_round *req;
    struct grant_runners runners;
    struct grant_demand *demands;
    size_t demands_n;
    struct grant_room *runs; /* that are locked and go on, by id */
    size_t runs_n;
    struct rows ready;
    struct grant_placed *placed;
    size_t placed_n;
    bool passed_over, waited;
    bool cut; /* more could have been given out */
    enum placement_verdict *verdicts;
};

static inline struct placement_runner *grant_placed_runner(const struct grant_placed *p)
{
    return &p->demand->runners.place[p->runner];
}

/* grant.c */

/* How many stages of a demand could go now. */
int64_t grant_room_for(const struct grant_demand *d, int64_t max);
/* NULL: it is not locked, or does not go on. */
struct grant_room *grant_room_of(const struct grant_state *o, int64_t run);

/* grant_place.c */

int grant_place_all(struct grant_state *o);
/* Since they were read, other servers may have filled their slots, or they may be over: what does
 * not fit any more stays READY, for the next round. */
int grant_place_settle(struct grant_state *o);

/* grant_write.c */

/* The args of those that go, and of no others: they may be large. */
int grant_write_args(struct grant_state *o);
int grant_write_all(struct grant_state *o, struct grant_leases *reply);

#endif
