/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nursery: starts and ends the processes of pools as jobs of the executor.
 *
 * Pools live on the loop of the network and the executor on a thread of its own: what is asked for
 * here is done there, in the order in which it was asked for, and what became of it is told here.
 * Both may be one loop, and neither is kept alive by it.
 *
 *     this loop:   start, stop ------> queue ------> the executor's: executor_start, executor_stop
 *                  over, memory <----- queue <------ a job is done, a look at what lives
 */
#ifndef POOL_NURSERY_H
#define POOL_NURSERY_H

#include <uv.h>

#include "base/list.h"
#include "base/str.h"
#include "work/executor.h"

/* Above every lease that a store can have given out. */
#define NURSERY_TOKEN_FIRST (INT64_C(1) << 62)
#define NURSERY_LOOK_MS     5000u /* between two looks at the memory of a process */

struct nursery;

/* A process. Its memory is the starter's, and is kept until `over`. All of it comes on the loop of
 * nursery_new(). */
struct nursery_child {
    int64_t token; /* the nursery's */
    /* Once: nothing of it lives, and `how` is one sentence that says why. */
    void (*over)(struct nursery_child *c, struct str how);
    /* What its main process has in use. */
    void (*memory)(struct nursery_child *c, int64_t bytes);
};

/* How it is started; borrowed for the call. */
struct nursery_start {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    const char *err_path; /* what it says on stderr; another one's is written over */
    int64_t grace_us;     /* between SIGTERM and SIGKILL */
    int streams[2];       /* its stdin and stdout, given away */
};

struct nursery *nursery_new(uv_loop_t *loop);
/* No process is left, and no executor is here. */
struct nursery *nursery_free(struct nursery *n);

void nursery_start(struct nursery *n, struct nursery_child *c, const struct nursery_start *start);
/* One that is over is left alone. */
void nursery_stop(struct nursery *n, struct nursery_child *c, enum executor_stop how);

/* On the executor's thread: from now on what was asked for is done, by jobs that take at most
 * `slots` of its slots. NULL and 0: there is none, and no process can be started. */
void nursery_open(struct nursery *n, uv_loop_t *loop, struct executor *executor, unsigned slots);
/* None of its jobs runs. What is asked for from here on waits. The loop runs once more. */
void nursery_close(struct nursery *n);

#endif
