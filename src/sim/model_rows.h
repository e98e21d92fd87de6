/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_rows: what the model keeps, shared by its files and check_tasks.c, which compares it.
 */
#ifndef SIM_MODEL_ROWS_H
#define SIM_MODEL_ROWS_H

#include "core/run.h"
#include "engine/grant.h"
#include "engine/lane.h"
#include "engine/lease.h"
#include "sim/model.h"
#include "sim/model_plan.h"

struct m_queue {
    struct str name;
    int64_t concurrency, key_concurrency, claim_ttl_us;
    int64_t key_since; /* tasks up to this one were added before key_concurrency was changed: their
                          places are kept until they end, however few there are now */
    bool paused, fair;
    int64_t rate_milli, burst;
    /* What the rate has left lies between these, at that time. */
    int64_t rate_most, rate_least, rate_at;
};

struct m_task {
    int64_t id;
    struct m_queue *queue;
    enum task_state state;
    int64_t priority, attempts, budget_from, max_attempts, backoff_us, cap_us;
    int64_t due_at, timeout_us, deadline_at;
    int64_t token, worker; /* while it is held */
    int64_t expires_at;    /* of a guest's lease; 0: a heartbeat keeps it */
    bool cancel;
    struct str key, unique, payload;
    int64_t turn;        /* among the keys of a fair queue; 0: it has none */
    enum lane_gate gate; /* where its key has so many places */
    bool node;           /* of a run, and of no queue */
    struct m_push *push; /* a stage that runners are called for, and a node; NULL: it is none */
    bool
        freed; /* it has ended, and its unique key with it: giving it back does not take it again */
};

/* What a stage that runners are called for has beside: only its leases are known here. */
struct m_push {
    int64_t run;
    bool async;
    int64_t progress_us; /* promised with the lease; 0: not */
    bool expired;        /* it was not renewed in time */
};

/* A run with an open graph. */
struct m_open {
    int64_t run;
    bool sealed, over;
    struct model_plan *plan;
    bool moved; /* something of it has ended, and what follows is still to come */
};

enum m_grant_state { GRANT_LIVE, GRANT_TOLD, GRANT_TAKEN };

/* A lease that was given once. */
struct m_grant {
    int64_t token, task;
    enum m_grant_state state;
    enum outcome outcome;                     /* where it was told … */
    uint64_t content;                         /* … with this */
    int64_t attempt, expires_at, deadline_at; /* as they were when it was given; 0: none */
    int64_t pushed_to;                        /* the runner that is to be called; 0: nobody is */
    bool called;
};

#define MODEL_NODES 8

struct m_run {
    int64_t id;
    enum run_state state;
    struct m_task nodes[MODEL_NODES]; /* their ids are known once they are claimed */
};

struct m_worker {
    int64_t incarnation;
    struct str name;
    enum worker_state state;
    int64_t slots, ttl_us, beat_at;
    bool local;               /* within a server */
    struct str type, address; /* of a runner */
    unsigned modes;
    bool labelled; /* with the one label that there is */
};

struct model {
    struct sim *sim;
    struct arena memory;
    int64_t now;
    int64_t written; /* the time of the newest transaction that is known to have written */
    struct m_queue *queues;
    size_t queues_n, queues_cap;
    struct m_task **tasks; /* by id */
    size_t tasks_n, tasks_cap;
    size_t open_from;       /* before it all are over for good */
    struct m_grant *grants; /* by token */
    size_t grants_n, grants_cap;
    struct m_worker *workers; /* by incarnation */
    size_t workers_n, workers_cap;
    struct m_run **runs;
    size_t runs_n, runs_cap;
    struct m_task **pushed; /* stages that were given to a runner once */
    size_t pushed_n, pushed_cap;
    struct m_open *opens;
    size_t opens_n, opens_cap;
    /* What became READY, and what ended, since the lanes were settled. */
    struct m_task **entering, **leaving;
    size_t entering_n, entering_cap, leaving_n, leaving_cap;
};

struct m_queue *model_queue_of(struct model *m, struct str name);
struct m_task *model_task_of(const struct model *m, int64_t id);
struct m_grant *model_grant_of(const struct model *m, int64_t token);
struct m_worker *model_worker_of(const struct model *m, int64_t incarnation);

static inline bool model_over(const struct m_task *t)
{
    return t->state == TASK_SUCCEEDED || t->state == TASK_CANCELLED || t->state == TASK_SKIPPED;
}
static inline bool model_held(const struct m_task *t)
{
    return t->state == TASK_RUNNING;
}

/* Time never goes back between transactions that have written: this one has. */
void model_check_time(struct model *m);
/* Leases that the worker holds. */
int64_t model_busy(const struct model *m, int64_t incarnation);
/* A move of the machine, for the coverage and the transcript. */
void model_move(struct model *m, struct m_task *t, enum task_event event, enum task_state to);
/* The attempt under way ends so; `told` by its holder, with that content. */
void model_end(struct model *m, struct m_task *t, enum outcome o, bool told, uint64_t content);
/* Every attempt of the worker ends as lost. */
void model_lose(struct model *m, int64_t incarnation);
void model_fail(struct model *m, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* That the code is the one expected. */
bool model_code(struct model *m, const struct model_op *op, enum code expected);

/* What a completion has told, as a number. */
uint64_t model_content(struct str message, struct str output);
/* A lease is given: tokens grow, attempts are counted without a gap. */
void model_grant(struct model *m, struct m_task *t, int64_t worker, const struct task_lease *l);
/* What answers say beside that: of a lease that was given or renewed, of the state of a worker, and
 * when the next task of the queue (NULL: of any) is due. */
void model_told_lease(struct model *m, const struct m_task *t, const struct task_lease *l);
void model_told_renewed(struct model *m, const struct m_task *t, int64_t expires_at);
void model_told_state(struct model *m, const struct m_worker *w, enum worker_state told);
void model_told_due(struct model *m, const struct m_queue *q, int64_t next_due_at);
/* LOST or GONE, and what it held is lost. */
void model_worker_end(struct model *m, struct m_worker *w, enum worker_event event);
void model_worker_beat(struct model *m, struct m_worker *w);

/* Places and turns: it has moved; … */
void model_lane_moved(struct model *m, struct m_task *t);
/* … what has moved takes places and turns, or gives them to others; … */
void model_lane_settle(struct model *m);
/* … and the settings of the queue have changed. */
void model_lane_judge(struct model *m, const struct m_queue *q);
/* The order in which a queue gives its tasks. */
bool model_lane_before(const struct m_task *a, const struct m_task *b);

/* The rate of a queue: 0: it has none. */
void model_rate_set(struct m_queue *q, int64_t rate_milli, int64_t burst);
/* How many claims it allows now, at most and at least. */
void model_rate_look(struct m_queue *q, int64_t now, int64_t *ret_most, int64_t *ret_least);
void model_rate_spend(struct m_queue *q, int64_t n);

/* Tasks of runs. */
struct m_task *model_node_of(const struct model *m, int64_t task);
void model_node_ended(struct model *m, const struct m_task *node);
/* One that is DELAYED and due by now; NULL: there is none. */
struct m_task *model_node_due(const struct model *m);
void model_lose_nodes(struct model *m, int64_t incarnation);
size_t model_nodes_held(const struct model *m, int64_t incarnation, bool cancelled);

/* Stages that runners are called for. */
struct m_task *model_push_of(const struct model *m, int64_t task);
void model_push_lose(struct model *m, int64_t incarnation);
int64_t model_push_load(const struct model *m, int64_t incarnation);
/* Whether that is what the worker is to stop: what it holds, and no less than is known to be
 * cancelled. */
bool model_push_stops(const struct model *m, int64_t incarnation, const struct lease_ref *list,
                      size_t n);
void model_push_renewed(struct model *m, struct m_task *t, const struct lease_renewed *told);
/* Stages were written under this lease (token 0: under none): who writes has begun. */
void model_push_wrote(struct model *m, struct lease_ref writer);
/* The reaper comes to attempts past their deadline, and to leases past their end. */
int64_t model_push_late(struct model *m);
int64_t model_push_expired(struct model *m);
/* The graphs of plans. A runner gets a stage, and starts it, … */
void model_graph_grant(struct model *m, const struct grant_lease *l);
void model_graph_start(struct model *m, int64_t task);
/* … and tells how it ended; … */
void model_graph_told(struct model *m, const struct task_result *t, enum code code);
/* … or the engine ended it. */
void model_graph_ended(struct model *m, const struct m_task *t, enum outcome o);
/* The time of stages that wait to be tried again has come. */
void model_graph_due(struct model *m);
/* What has ended is counted, and what follows follows. */
void model_graph_settle(struct model *m);
/* The run is cancelled. False: it is no plan. */
bool model_push_cancel(struct model *m, const struct model_op *op);
/* In the calm nothing waits longer for the reaper than its period. */
void model_check_late(struct model *m, const char *what, int64_t id, int64_t due_at);

/* The files' parts. */
void model_queue_op(struct model *m, const struct model_op *op);
void model_claim(struct model *m, const struct model_op *op);
void model_lease_op(struct model *m, const struct model_op *op);
void model_push_op(struct model *m, const struct model_op *op);
void model_graph_op(struct model *m, const struct model_op *op);
void model_run_op(struct model *m, const struct model_op *op);
void model_worker_op(struct model *m, const struct model_op *op);
void model_reaper(struct model *m, const struct reaper_reply *r);

#define MODEL_EACH_TASK(m, t)                                                                      \
    for (size_t i_ = (m)->open_from; i_ < (m)->tasks_n; i_++)                                      \
        for (struct m_task *t = (m)->tasks[i_]; t; t = NULL)

#endif
