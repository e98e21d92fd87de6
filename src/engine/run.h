/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: executions of workflows.
 */
#ifndef ENGINE_RUN_H
#define ENGINE_RUN_H

#include "core/definition.h"
#include "core/run.h"
#include "engine/task.h"
#include "engine/tx.h"

struct run_start {
    struct str workflow;
    int64_t version;                /* 0: the newest */
    const struct env_entry *params; /* name and text */
    size_t params_n;
    struct str dir;       /* the folder that relative `cwd`s start from */
    int64_t max_parallel; /* 0: as the workflow says */
    bool local;           /* whoever starts it carries it; run_claim() passes it over */
};

struct run_row {
    int64_t id, version;
    struct str workflow, reason, detail, params, dir;
    enum run_state state;
    int64_t max_parallel, tasks, open, held, failed;
    int64_t created_at, ended_at;
    bool growing;        /* a plan that is not sealed (plan.h) */
    struct str metadata; /* of a plan, in run_get() and plan_create(); a JSON object */
    int64_t counts[TASK_STATE_N];
};

struct run_get {
    int64_t id;
    bool tasks;    /* with its tasks and their attempts … */
    int64_t after; /* … of ids after this one, … */
    int64_t max;   /* … at most so many; 0: all */
};

struct run_view {
    struct run_row run;
    struct task_view *tasks;
    size_t tasks_n;
};

struct run_list {
    struct str state;    /* empty: any */
    struct str workflow; /* empty: any */
    int64_t before;      /* ids below this one; 0: from the newest */
    int64_t max;
};

struct run_rows {
    struct run_row *list;
    size_t n;
};

struct run_retry_reply {
    struct run_row run;
    int64_t tasks; /* given back */
};

/* The run with its counts, and the counts of rows that are there already, the newest first. */
int run_read(struct tx *tx, int64_t id, struct run_row *ret);
int run_counts(struct tx *tx, struct run_row *runs, size_t n);

/* The id of the next run; until the transaction ends, nobody else draws one. */
int run_draw_id(struct tx *tx, struct run_row *ret);
int run_start(struct tx *tx, const struct run_start *req, struct run_row *reply);
int run_get(struct tx *tx, const struct run_get *req, struct run_view *reply);
int run_list(struct tx *tx, const struct run_list *req, struct run_rows *reply);
/* Idle tasks are cancelled at once, held ones when their holder confirms. RUN_ENDED where it has
 * ended. */
int run_cancel(struct tx *tx, const int64_t *id, struct run_row *reply);
/* Failed, skipped and cancelled tasks are given back with a new budget. RUN_ACTIVE where it has not
 * ended. */
int run_retry(struct tx *tx, const int64_t *id, struct run_retry_reply *reply);
/* Give back one task of a run (or, where it is 0, all that ended without success), judge the
 * skipped ones anew, and let the run go on. How many were given back goes to *ret_n (NULL allowed).
 * RUN_ACTIVE where it is being cancelled. */
int run_rewind(struct tx *tx, int64_t id, int64_t task, int64_t *ret_n);
/* The newest run that has not ended, or RUN_NOT_FOUND. */
int run_newest_open(struct tx *tx, const void *unused, struct run_row *reply);

struct run_why {
    struct run_row run;
    struct str why;
    struct task_details *tasks; /* those that wait, failed or were skipped, at most 100 */
    size_t tasks_n;
};
int run_why(struct tx *tx, const int64_t *id, struct run_why *reply);

/*
 * Tasks of any run that is not local, for an executor that carries them all: the runs after
 * `after` take their turns, so that a large one does not keep the others waiting.
 */
#define RUN_CLAIM_RUNS_MAX 64u /* runs looked at in one claim */

struct run_claim {
    int64_t worker; /* incarnation */
    int64_t after;  /* the run that a turn ended with; 0: begin with the oldest */
    int64_t max;    /* tasks */
};
struct run_share {
    int64_t run;
    struct str dir; /* where its tasks start */
    struct task_leases leases;
};
struct run_shares {
    struct run_share *list;
    size_t n;
    size_t leases; /* of all shares together */
    int64_t after; /* for the next claim */
    bool more;     /* there may be more to take: by slots that are free still, or when some are */
};
/* Let servers carry it, whoever started it. */
int run_adopt(struct tx *tx, const int64_t *id, void *unused);
int run_claim(struct tx *tx, const struct run_claim *req, struct run_shares *reply);

/* The outputs of tasks of a run by name, for references; empty for one that has none. */
struct run_outputs {
    int64_t run;
    const struct str *names;
    size_t n;
};
struct run_outputs_reply {
    struct str *outputs; /* JSON; empty: none */
    size_t n;
};
int run_outputs(struct tx *tx, const struct run_outputs *req, struct run_outputs_reply *reply);

#endif
