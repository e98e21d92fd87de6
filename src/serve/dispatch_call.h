/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_call: what a runner is told, and what its answer means for the stage.
 */
#ifndef SERVE_DISPATCH_CALL_H
#define SERVE_DISPATCH_CALL_H

#include "engine/grant.h"
#include "net/caller.h"

#define DISPATCH_CALL_RUN    "/weft.v1.Runner/Run"
#define DISPATCH_CALL_ASYNC  "/weft.v1.Runner/RunAsync"
#define DISPATCH_CALL_CANCEL "/weft.v1.Runner/Cancel"
#define DISPATCH_CALL_PING   "/weft.v1.Runner/Ping"

/* The messages, in the arena. */
struct str dispatch_call_run(struct arena *a, const struct grant_lease *l, struct str callback);
struct str dispatch_call_cancel(struct arena *a, struct lease_ref lease, const char *reason);
struct str dispatch_call_ping(struct arena *a, int64_t worker);

/* Why a call was cut by us. */
enum dispatch_cut { DISPATCH_UNCUT, DISPATCH_STOPPED, DISPATCH_ENDING };

struct dispatch_end {
    enum { DISPATCH_COMPLETE, DISPATCH_ACCEPT, DISPATCH_REFUSE } what;
    struct task_result result; /* COMPLETE */
    enum task_reason reason;   /* REFUSE, as `message` */
    struct str message;
    bool stop;    /* the runner may do it all the same, and is to be told to stop */
    bool healthy; /* the runner answered as runners do */
};

/* Of a call that has ended. What it returns points into the arena and the call. */
void dispatch_call_judge(struct arena *a, struct lease_ref lease, enum placement_mode mode,
                         const struct caller_call *call, enum dispatch_cut cut,
                         struct dispatch_end *ret);

/* Its report cannot be taken: the attempt failed by that. */
void dispatch_call_bad(struct arena *a, struct lease_ref lease, struct str why,
                       struct task_result *ret);

#endif
