/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_state: what the files of the local worker share. Only local*.c include it.
 *
 *     local.c        its life: phases, what a loop turn does, stopping
 *     local_held.c   leases that it holds: from the claim to the result
 *     local_post.c   what it asks of the store, and the answers
 */
#ifndef SERVE_LOCAL_STATE_H
#define SERVE_LOCAL_STATE_H

#include <assert.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "engine/reaper.h"
#include "engine/run.h"
#include "engine/task.h"
#include "serve/hub.h"
#include "serve/launch.h"
#include "serve/local.h"
#include "serve/rescue.h"

enum local_phase {
    PHASE_JOINING,
    PHASE_WORKING,
    PHASE_LOST,
    PHASE_FAILED,
    PHASE_LEAVING,
    PHASE_OVER
};

/* What is asked of the store, each at most once at a time, in the order in which a post brings it.
 */
enum local_op {
    OP_JOIN,
    OP_CANCEL,
    OP_COMPLETE,
    OP_BEAT,
    OP_SCAN,
    OP_CLAIM,
    OP_LOOK,
    OP_DRAIN,
    OP_LEAVE,
    OP_N
};

/* A lease that we hold. */
enum local_held_state {
    HELD_RESOLVING, /* the outputs that it refers to are being read */
    HELD_QUEUED,    /* to be started */
    HELD_RUNNING,   /* with the executor */
};

/* Why it was stopped by ourselves, and its attempt counts as lost. */
enum local_fence {
    FENCE_NONE,
    FENCE_STORE, /* the store might take it away */
    FENCE_END,   /* the program ends before the task does */
};

struct local_held {
    struct list link;  /* QUEUED: in the order of starting; in the pool */
    struct list among; /* all that are held */
    struct local *local;
    enum local_held_state state;
    int64_t claimed_us, started_us; /* monotonic */
    bool stop;                      /* asked for while RESOLVING */
    enum local_fence fence;
    struct arena arena;
    struct task_lease lease;
    const char *dir; /* absolute: where its run starts */
    struct launch launch;
    struct run_outputs names;
    struct run_outputs_reply outputs;
    struct batcher_request request;
};

/* Attempts that ended, until the store has them. */
struct local_results {
    struct arena arena;
    struct task_result *list;
    size_t n, cap;
};

struct local_scan {
    struct reaper_reply reaper;
    enum store_backend store;
    int64_t now;
};

struct local_claim {
    int64_t run; /* 0: any that is not local */
    struct run_claim any;
};

struct local_claimed {
    struct run_shares shares;
    int64_t next_due_at; /* where there was nothing */
    int64_t now;
};

struct local {
    struct local_options o;
    struct executor_events jobs;
    size_t running_n; /* with the executor */
    struct launch_base base;
    enum local_phase phase;
    int64_t incarnation;

    struct batcher_request requests[OP_N];
    bool busy[OP_N];
    unsigned held_requests; /* of leases, under way */
    struct worker_register join;
    struct worker_row joined;
    struct task_complete complete;
    struct task_codes completed;
    struct worker_beat_reply beat;
    struct local_scan scan;
    struct local_claim claim;
    struct local_claimed claimed;
    struct run_get look;
    struct run_view seen;
    struct run_row cancelled;
    struct worker_row drained, left;

    struct map *held; /* token -> struct local_held */
    struct list all;
    struct list queue;
    size_t queue_n;
    struct list pool; /* of struct local_held, for reuse */
    struct rescue rescue;
    struct local_results results, sent;
    bool want_scan, want_claim, want_look, want_cancel, want_beat, want_drain;
    int64_t after;        /* the run that the last turn ended with */
    struct hub_wait wait; /* for tasks of runs; unused without a hub */
    bool draining;
    int64_t drained_at; /* then what still runs is killed */
    int64_t task_us;    /* what a task takes: a running mean */
    int64_t last_done;  /* when one ended */
    int64_t results_us; /* since when the oldest result waits */
    bool killed;
    int64_t idle_since; /* killed and nothing left: since when the store has not answered */
    int64_t beat_posted, beat_good, looked_around;

    uv_prepare_t prepare; /* posts what a loop turn has gathered */
    uv_idle_t idle;       /* while there is more to start */
    uv_timer_t tick;
    uv_timer_t due;
    uv_timer_t flush;  /* the oldest result, or the oldest task taken ahead, has waited enough */
    unsigned closed_n; /* of these */

    enum code code; /* why it failed */
    struct buf text;
};

/* What a loop turn posts together. */
struct local_post {
    struct batcher_request *list[OP_N];
    size_t n;
};

/* local.c */

/* Give up: stop what runs, and say why when it is dead. The first reason counts. */
void local_fail(struct local *l, enum code code, struct str text);
void local_over(struct local *l);
/* The store no longer counts us in: whatever we do now is not ours to do. */
void local_lost(struct local *l);

/* local_held.c */

static inline size_t local_held_n(const struct local *l)
{
    return map_count(l->held);
}

struct local_held *local_held_find(const struct local *l, int64_t token);
void local_held_take(struct local *l, const struct task_lease *lease, struct str dir);
void local_held_start(struct local_held *h);
void local_held_stop(struct local_held *h);
/* An attempt that never became a process. */
void local_held_refuse(struct local_held *h, enum outcome outcome, enum task_reason reason,
                       struct str message);
/* Say why it was fenced: one that ran has had its effects and counts; one that did not is given
 * back. */
void local_held_fence(struct local_held *h);
/* Give all that do not run back, now or as soon as can be. */
void local_held_return(struct local *l);
struct local_held *local_queue_first(struct local *l);
void local_queue_drop(struct local *l);
void local_results_clear(struct local_results *r);
/* What the executor says. */
void local_job_done(void *context, int64_t token, const struct job_result *job);
void local_job_line(void *context, int64_t token, struct str line);
void local_job_progress(void *context, int64_t token, int percent, struct str text);

/* local_post.c */

bool local_post_busy(const struct local *l);
void local_post_add(struct local *l, struct local_post *post, enum local_op op);
void local_post_send(struct local *l, struct local_post *post);

#endif
