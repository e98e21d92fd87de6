/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane: tasks of one key in one queue, and how they stand among others.
 *
 * Where a queue limits the leases of a key, each key has so many *places*. A task gets one when it
 * becomes READY, and keeps it until it has ended, so that retries keep the order; the others of its
 * key wait outside the index of what can be claimed (gate 2), where they cost a claim nothing.
 *
 * Where a queue is fair, the tasks of a key get the *turns* 1, 2, 3, … after the one whose turn it
 * is, and tasks are given out by turn before age: so the keys take turns, and a claim costs what it
 * costs in any queue.
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include "engine/queue_rules.h"
#include "engine/tx.h"

enum lane_gate { LANE_FREE, LANE_PLACE, LANE_WAITS }; /* as task.gate stores it */
/* What else task.gate says, of tasks of plans: who takes it when it is READY. No claimer of a queue
 * and no executor of runs sees them. */
enum plan_gate {
    GATE_PUSHED = 3, /* a runner, which is called with it */
    GATE_PULLED = 4, /* whoever claims from its run */
    GATE_CHECK = 5,  /* nobody: others tell its results */
};

struct lane_entry {
    int64_t task;
    struct str queue, key;
    int64_t priority;
    int64_t turn, gate;
};

/* Give READY tasks, in the order of the list, places, and turns where theirs is 0. */
int lane_assign(struct tx *tx, const struct queue_rules *rules, struct lane_entry *list, size_t n);
/* The same for tasks that became READY, and are written already: those that come together, in the
 * order of their ids. The list is sorted. */
int lane_enter(struct tx *tx, struct lane_entry *list, size_t n);
/* Tasks that had places have ended; those that waited for them can be claimed. */
int lane_leave(struct tx *tx, const struct lane_entry *list, size_t n);
/* The queue's settings have changed: judge all of its open tasks anew, in one statement each. */
int lane_rebuild(struct tx *tx, struct str queue, int64_t key_concurrency, bool fair);

#endif
