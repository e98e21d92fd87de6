/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipes: a pool of real processes, on the loop of whoever calls it.
 *
 * It is the wire of a struct pool: the stdin and stdout of its processes are pipes that never
 * block, written at once and read straight into the pool's frames. They are started and ended by a
 * nursery. The pool's clock is the loop's: before it sleeps, a timer is set for what is due next.
 *
 * A process that closes its stdout can answer nothing and is ended, if it does not end by itself.
 * One that is to end has its stdin closed and PIPES_LEAVE_US to go before it gets SIGTERM.
 *
 * SIGPIPE is ignored from pipes_new() on.
 */
#ifndef POOL_PIPES_H
#define POOL_PIPES_H

#include <uv.h>

#include "base/clock.h"
#include "pool/nursery.h"
#include "pool/pool.h"

#define PIPES_LEAVE_US (1 * CLOCK_S)
#define PIPES_EOF_US   (1 * CLOCK_S) /* between the end of stdout and of the process */

struct pipes;

/* What is started; borrowed for the call, as are the settings. */
struct pipes_command {
    const char *const *argv;
    const char *const *env; /* WEFT_POOL and WEFT_POOL_PROCESS are added */
    const char *cwd;
    const char *log_folder; /* of what they say on stderr: "<number>.log" of each */
    int64_t grace_us;
};

struct pipes_options {
    uv_loop_t *loop;
    struct nursery *nursery;
    struct pool_settings settings;
    struct pipes_command command;
    uint64_t seed;
    /* A session ended without being asked, or its process was lost (NULL allowed). */
    void (*session)(void *context, struct str session, enum code code, const char *reason);
    /* After pool_drain(), once, before the loop sleeps: no process is left (NULL allowed). */
    void (*over)(void *context);
    void *context;
};

struct pipes *pipes_new(const struct pipes_options *options);
/* After `over`, also from within it. */
struct pipes *pipes_free(struct pipes *p);

struct pool *pipes_pool(struct pipes *p);

/* As pool_set(), and processes are started so from now on; the name stays. */
void pipes_set(struct pipes *p, const struct pool_settings *settings,
               const struct pipes_command *command, bool renew);

#endif
