/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: what the requests mean, one after the other, on plain arrays.
 *
 * It is told of every transaction that was committed, in the order of the commits, with what was
 * answered, and says where the answer is none that may be. It shares the requests and replies with
 * the engine, and no code that decides. So the whole history is checked to be linearizable, with
 * the commits as the points in which the requests take effect.
 *
 * It knows the tasks of queues and of runs, leases and workers; what it checks is listed in
 * docs/simulation.md.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "core/run.h"
#include "engine/reaper.h"
#include "engine/task.h"
#include "sim/ask.h"

struct model_op {
    int kind;            /* enum ask_kind, or one of those below */
    const void *request; /* the engine's */
    const void *reply;
    enum code code;
    const struct str *text;
};
enum {
    MODEL_REAPER = ASK_N,
    MODEL_GIVE_BACK,
    MODEL_RUN_CLAIM,
    MODEL_LOCAL_JOIN,
    MODEL_LOCAL_BEAT,
    MODEL_LOCAL_LOSE,
    MODEL_LOCAL_COMPLETE,
    /* Of the dispatcher: engine/grant.h. */
    MODEL_PUSH_ROUND,
    MODEL_PUSH_ACCEPT,
    MODEL_PUSH_REFUSE,
    MODEL_PUSH_KEEP,
    MODEL_PUSH_COMPLETE,
    MODEL_KINDS_N,
};

struct model *model_new(struct sim *s);
struct model *model_free(struct model *m);

/* A request of a transaction that was committed. */
void model_ran(struct model *m, int64_t now, const struct model_op *op);
/* Whatever took effect at the same moment has been told. */
void model_settle(struct model *m);

/* What a client hears of a claim and of an enqueue, some time after its commit. */
void model_heard_claim(struct model *m, const struct answer *answer);
void model_heard_ids(struct model *m, const struct ask *a, const struct answer *answer);

/* A server calls the runner of that name for a stage. */
void model_called(struct model *m, const Weft__V1__RunStageRequest *call, const char *runner);

/* What is to be seen of a queue, for comparison with the store. */
void model_counts(const struct model *m, struct str queue, int64_t counts[TASK_STATE_N]);
/* Tasks that have not ended. */
size_t model_open(const struct model *m);
/* One of them, in words, for whoever asks why the world does not rest. */
void model_describe_open(const struct model *m, struct buf *out);
/* A task that was enqueued, drawn by its number; 0: there is none. */
int64_t model_task(const struct model *m, uint64_t number);

/* The workflow that is simulated, as JSON. */
extern const char model_workflow[];
size_t model_runs(const struct model *m);
/* A run that was started, drawn by its number; 0: there is none. */
int64_t model_run(const struct model *m, uint64_t number);
enum run_state model_run_state(const struct model *m, int64_t run, int64_t counts[TASK_STATE_N]);
size_t model_runs_open(const struct model *m);
/* Plans: how many there are, and those that are not known to be over. */
size_t model_plans(const struct model *m);
size_t model_plans_open(const struct model *m);
/* Whether that one has not been seen to end. */
bool model_plan_waits(const struct model *m, size_t number, int64_t *ret_run);
void model_plan_ended(struct model *m, size_t number);
struct model_plan *model_plan_of(const struct model *m, size_t number);

#endif
