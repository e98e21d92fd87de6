/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: what the holder of a stage told while it worked on it, in order.
 *
 * The newest is kept with the task, as of any task (lease.h). Of a stage of a plan all of it is
 * kept, also when its attempt has ended: the first and the newest PROGRESS_KEPT - 1 of an attempt.
 * It is an event of its run, task_PROGRESS, too; where more than PROGRESS_KEPT were told of an
 * attempt, one for each second in which it was told of.
 */
#ifndef ENGINE_PROGRESS_H
#define ENGINE_PROGRESS_H

#include "engine/sets.h"
#include "engine/task.h"

#define PROGRESS_KEPT              1000
#define PROGRESS_DETAILS_BYTES_MAX (64u << 10)

struct progress {
    int64_t at;
    int percent;        /* -1: not told */
    struct str message; /* empty: not told */
    struct str details; /* JSON; empty: not told */
};

/* What is to be written in one transaction; each lease once. */
struct progress_told {
    struct sets rows, trims, leases;
    struct progress_event *events;
    size_t n, cap;
};

/* The attempt that it is told of. */
struct progress_of {
    int64_t token, task, run;
    struct str name;
};

/* What is told is borrowed until it is written. */
void progress_tell(struct progress_told *told, struct tx *tx, const struct progress_of *of,
                   const struct progress *p);
int progress_write(struct progress_told *told, struct tx *tx);

/* Fill in `progress` of the attempts of one task. */
int progress_read(struct tx *tx, struct task_view *v);

#endif
