/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot: a place for one job at a time, with all that belongs to the job.
 *
 * What is costly to make is kept from job to job: the room of the process, and the cgroup. What the
 * job brings (texts, pipes, files) goes with it. The states are the executor's business.
 *
 * Private to the executor's files: executor.c, slot.c, tree.c, result.c.
 */
#ifndef WORK_SLOT_H
#define WORK_SLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/list.h"
#include "work/capture.h"
#include "work/cgroup.h"
#include "work/executor.h"
#include "work/instance.h"
#include "work/output.h"
#include "work/process.h"
#include "work/tail.h"

#define SLOT_STATES(X)                                                                             \
    X(FREE)                                                                                        \
    X(STARTING)    /* described, and not a process yet */                                          \
    X(RUNNING)     /* its main process lives, undisturbed */                                       \
    X(PROVING)     /* its main process is dead: are the others? */                                 \
    X(TERMINATING) /* SIGTERM was sent; the grace time runs */                                     \
    X(KILLING)     /* SIGKILL was sent */                                                          \
    X(DONE)        /* nothing of it lives */
#define SLOT_ENUM(name) SLOT_##name,
enum slot_state { SLOT_STATES(SLOT_ENUM) SLOT_STATE_N };

/* What all slots of an executor use, one at a time. */
struct slot_shared {
    const struct instance *in;
    const char *outer; /* the mark of the job that weft itself is in, or NULL */
    int epoll;         /* where the executor listens */
    int null;          /* /dev/null */
    char *bytes;       /* to read through */
    size_t bytes_n;
};

struct slot {
    const struct slot_shared *shared;
    unsigned index;
    unsigned life; /* which job this is; what is still said of an older one is not listened to */
    enum slot_state state;
    struct list link; /* among those that could not be started */

    /* Kept. */
    struct process_room *room;
    struct cgroup cgroup;

    /* The job, copied: one piece of memory, the pointers first. */
    int64_t token;
    char *texts;
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    const char *output_path;
    const char *progress_path;
    int64_t timeout_us;
    int64_t grace_us;
    int streams[2];
    const struct executor_events *events;

    /* Its main process. */
    pid_t pid;
    int pidfd;
    bool dead;    /* and not yet waited for: until the proof is complete, nobody gets its pid */
    bool watched; /* cgroup.events is in the epoll set */
    enum outcome stopped; /* TIMED_OUT or CANCELLED where we ended it, else NONE */
    int64_t started_us;
    int64_t ended_us;
    int64_t deadline_us; /* the timeout's, then the grace time's; 0 for none */

    /* What it says. */
    int pipes[2];
    struct capture logs[2];
    struct tail *tail; /* NULL until it says something */
    struct output_progress progress;
    int64_t progress_us; /* when to look next */
    int64_t peak_us;     /* likewise, at its memory */
    int64_t peak_bytes;  /* what was seen then */
    int64_t floor_bytes; /* what weft had at the start, and the kernel counts as the child's */

    /* Why it could not be started. */
    enum task_reason refused;
    struct buf message;
};

void slot_init(struct slot *s, const struct slot_shared *shared, unsigned index);

/* Give back all of a free slot. */
void slot_deinit(struct slot *s);

/* Take the job. */
void slot_take(struct slot *s, const struct job *job);

/* Start its process. Returns false where it could not be, with `refused` and `message` set. */
bool slot_start(struct slot *s);

/* Read once from a pipe. Returns how much came, 0 at its end, when it is closed, or -EAGAIN. */
ssize_t slot_read(struct slot *s, enum tail_stream from);

/* After the proof: read what is left in the pipes, wait for the main process, close everything. */
void slot_end(struct slot *s, int *ret_status, struct rusage *ret_used);

/* Forget the job. */
void slot_clear(struct slot *s);

#endif
