/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_plan: what a plan means (docs/plans.md), on plain arrays.
 *
 * A second, simple reading of the requests to one plan. It counts nothing ahead, looks through all
 * nodes whenever it wants to know something, and shares requests and replies with the engine but no
 * code that decides. Nothing is stored; ids, tokens and versions are told to it. For the simulator
 * and for test/oracle.
 *
 * What follows from a request follows in rounds: all that has ended is counted at once; groups that
 * are met now cancel what they can do without; checks are planned; what waited moves on or is
 * skipped; checks are concluded; and again, until nothing has ended any more.
 */
#ifndef SIM_MODEL_PLAN_H
#define SIM_MODEL_PLAN_H

#include "base/buf.h"
#include "core/run.h"
#include "engine/plan.h"

/* A dependency group as it was written. */
struct model_plan_group {
    struct plan_group asked;
    bool met;
    struct str *satisfied; /* where fewer than all sufficed: the names that met it */
    size_t satisfied_n;
};

enum model_plan_verdict { MODEL_PLAN_WAITING, MODEL_PLAN_MET, MODEL_PLAN_IMPOSSIBLE };

struct model_plan_attempt {
    int64_t token;
    struct str told; /* what its holder said of it; empty: the engine ended it */
};

struct model_plan_node {
    struct str name;
    bool check;
    enum task_state state;
    enum task_reason reason;
    bool counted; /* it has ended, and who waits for it knows */
    int64_t id, version;
    struct str shown; /* for whoever compares: how it looked at this version */

    /* As it was written. */
    struct str kind, payload, type, labels;
    bool async;
    int64_t timeout_us, accept_us, progress_us, priority;
    struct retry_policy retry;
    struct str retry_text;
    struct model_plan_group *groups;
    size_t groups_n;
    struct plan_assignment *assignments;
    size_t assignments_n;
    struct str parent; /* the stage that added it */

    struct check_result *results;
    size_t results_n, results_cap;

    int64_t attempts, charged; /* started; of these those that the policy counts */
    int64_t token, worker;     /* while it is held */
    int64_t due_at, deadline_at;
    bool put_off; /* it was refused, and may be DELAYED for a while */
    bool cancel;
    struct model_plan_attempt *ended;
    size_t ended_n, ended_cap;
};

struct model_plan {
    struct arena *memory;
    int64_t run;
    enum run_state state;
    bool growing;
    bool judged; /* it was sealed: names that nobody wrote never will be */
    bool blind;  /* versions may have grown since they were told */
    struct model_plan_node *nodes;
    size_t nodes_n;
};

/* Why a request may be refused; it must be where there is `any` reason that is known for sure. */
struct model_plan_refusal {
    bool any, may[CODE_N];
};

/* A plan that grows, without nodes, in the arena, which all that it keeps comes from. */
struct model_plan *model_plan_new(struct arena *memory, int64_t run);
struct model_plan_node *model_plan_node(const struct model_plan *p, struct str name);
struct model_plan_node *model_plan_by_id(const struct model_plan *p, int64_t id);

/* The requests. What is refused changes nothing; a write that was answered so is that. */
void model_plan_write(struct model_plan *p, const struct plan_write *req, enum code answer,
                      struct model_plan_refusal *ret);
void model_plan_seal(struct model_plan *p);
enum code model_plan_cancel(struct model_plan *p);

/* Leases: to a holder that has yet to start, or that starts now. False: it cannot be given. */
bool model_plan_lease(struct model_plan_node *n, int64_t now, int64_t token, int64_t worker);
bool model_plan_start(struct model_plan_node *n);
/* The stage that a claim gets next; NULL: none is left. */
struct model_plan_node *model_plan_next(const struct model_plan *p);
/* A holder tells how its attempt ended. What follows comes with model_plan_settle(), so that
 * several ends may come at once. */
enum code model_plan_complete(struct model_plan *p, int64_t now, const struct task_result *res);
/* A runner did not take it; it goes on at `due_at`, at once (0), or nobody knows when (-1). */
void model_plan_refuse(struct model_plan *p, struct model_plan_node *n, int64_t due_at);
/* The engine ends it: LOST or TIMED_OUT, for that reason (NONE: the outcome's own). */
void model_plan_end(struct model_plan *p, int64_t now, struct model_plan_node *n, enum outcome o,
                    enum task_reason reason);
/* The time that it waited for has come. */
void model_plan_due(struct model_plan_node *n);
void model_plan_settle(struct model_plan *p);

/* The plan as the store shows it, the whole of it. Where something differs, it is said in `out`.
 * Versions and ids are taken over, and what they show. */
void model_plan_look(struct model_plan *p, struct arena *scratch, const struct task_details *list,
                     size_t n, const struct run_row *run, struct buf *out);

/* Views. */
enum model_plan_verdict model_plan_judge(const struct model_plan *p,
                                         const struct model_plan_group *g);
static inline bool model_plan_planning(const struct model_plan_node *n)
{
    return n->state == TASK_BLOCKED && n->reason == TASK_REASON_PLANNING;
}
enum plan_check_state model_plan_check_state(const struct model_plan_node *n);
bool model_plan_final_result(const struct model_plan_node *n);
/* How many stages are assigned to a check with this goal, or were added by a stage; of these, how
 * many have ended and how many succeeded. */
struct model_plan_count {
    int64_t total, done, succeeded;
};
struct model_plan_count model_plan_assigned(const struct model_plan *p, struct str check,
                                            bool planned);
struct model_plan_count model_plan_spawned(const struct model_plan *p, struct str stage);

/* For the model's own files: a copy that can be thrown away; one more result of a check; groups
 * that are met, and what moves on by them, without counting anew. */
struct model_plan model_plan_copy(const struct model_plan *p);
enum code model_plan_tell(struct model_plan *p, struct str owner, int64_t token,
                          const struct check_update *u);
void model_plan_move(struct model_plan *p);
/* What a completion says, as a text. */
struct str model_plan_told(struct arena *a, const struct task_result *res);

#endif
