/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: runs with an open graph of checks and stages, which grows until it is sealed
 * (docs/plans.md).
 *
 * Its tasks are of three kinds, told by their gate (lane.h): stages that runners are called with,
 * stages that are claimed from the run, and checks, which take results. A run is a plan where its
 * version is 0. Names are unique among the checks and stages of a run.
 */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "core/group.h"
#include "engine/check.h"
#include "engine/run.h"
#include "engine/task.h"
#include "engine/tx.h"
#include "engine/worker.h"

#define PLAN_REQUEST_BYTES_MAX  200u
#define PLAN_METADATA_BYTES_MAX 16384u
#define PLAN_WRITE_TASKS_MAX    10000u
#define PLAN_WRITE_EDGES_MAX    100000u
#define PLAN_EXPECT_MAX         10000u
#define PLAN_NAMES_MAX          10000u /* in a query */
#define PLAN_GROUPS_MAX         16u
#define PLAN_ASSIGNMENTS_MAX    1000u
#define PLAN_LABELS_MAX         16u
#define PLAN_DEMAND_BYTES_MAX   2000u /* type, mode and labels as JSON: an index begins with it */
#define PLAN_ARGS_BYTES_MAX     (1u << 20)
#define PLAN_PAGE_MAX           1000
#define PLAN_PAGE_BYTES_MAX     (7u << 19) /* what a page weighs, its first task apart */
#define PLAN_TIMEOUT_US         (600 * 1000000LL)
#define PLAN_ACCEPT_US          (10 * 1000000LL)
#define PLAN_ACCEPT_US_MAX      (3600 * 1000000LL)
#define PLAN_PROGRESS_US_MIN    100000

struct plan_create {
    struct str request_id; /* the same one again is the same run; empty: none */
    struct str name;       /* stands in run_row.workflow; empty: "plan" */
    struct str metadata;   /* a JSON object; empty: {} */
};

/* One dependency group. A name that nobody has written yet is waited for until the run is sealed.
 */
struct plan_group {
    enum group_rule rule;
    int64_t need; /* of AT_LEAST */
    const struct str *from;
    size_t from_n;
    bool cancel_rest; /* when it is met, what of `from` has not ended is cancelled */
};

/* Where a check is in TurboCI's words. */
enum plan_check_state { PLAN_PLANNING, PLAN_PLANNED, PLAN_WAITING, PLAN_FINAL };
enum plan_check_state plan_check_state(enum task_state s, bool planning);
struct str plan_check_state_text(enum plan_check_state s);

/* What a write says of fields that it leaves out: a new task has the defaults, one that is there
 * stays as it is. What is there already, byte for byte, is no change, also where nothing could be
 * changed any more. */
struct plan_check {
    struct str name;
    bool planning, planned; /* what it shall be; neither: planned where it is new, else as it is */
    bool has_kind;
    struct str kind;
    struct str options; /* JSON; empty: left out (null where it is new) */
    bool has_groups;    /* false: left out (none where it is new) */
    const struct plan_group *groups;
    size_t groups_n;
    const struct check_update *result; /* one more; its `check` is not looked at. NULL: none */
    struct str owner;                  /* of the result; with a writer: "STAGE:ATTEMPT" if empty */
};

/* The stage answers the check, which stands in the run already or in the same write. */
struct plan_assignment {
    struct str check;
    bool planned; /* goal PLANNED: when its planners have ended it is planned. Else FINAL */
};

/* A stage, whole: what is left out has its default also where the stage is there already, but for
 * dependencies and assignments. */
struct plan_stage {
    struct str name;
    struct str args; /* JSON; empty: null */
    struct str type; /* of the runners that are called; empty: whoever claims from the run */
    struct worker_labels labels;      /* that a runner must have; only with a type */
    bool async;                       /* only with a type */
    int64_t timeout_us;               /* 0: PLAN_TIMEOUT_US */
    int64_t accept_us;                /* async: 0: PLAN_ACCEPT_US */
    int64_t progress_us;              /* async: progress is promised so often; 0: not */
    const struct retry_policy *retry; /* NULL: the default */
    int64_t priority;
    bool has_groups; /* false: left out (none where it is new) */
    const struct plan_group *groups;
    size_t groups_n;
    bool has_assignments; /* likewise */
    const struct plan_assignment *assignments;
    size_t assignments_n;
};

/* What the writer read. */
struct plan_expect {
    struct str name;
    int64_t version; /* 0: there is none of that name */
};

struct plan_write {
    int64_t run;
    const struct plan_check *checks;
    size_t checks_n;
    const struct plan_stage *stages;
    size_t stages_n;
    const struct plan_expect *expect;
    size_t expect_n;
    /* The attempt that writes (token 0: none). It must be live and of this run, and the stages that
     * it adds are its own: it is AWAITING until they have ended. */
    struct lease_ref writer;
};

/* What a check or stage has beside what every task has; task_view.plan. */
struct plan_view {
    bool check;
    int64_t parent; /* the stage that added it; 0: none */
    struct str parent_name;

    /* Of a check. */
    enum plan_check_state check_state;
    struct str kind, options;
    int64_t results_n;
    struct check_result *results; /* NULL in the reply of a write */
    /* Of a stage. */
    struct str args;
    struct str type, labels; /* labels: a JSON object */
    bool async;
    int64_t timeout_us, accept_us, progress_us;
    struct str retry;                    /* core/retry's text */
    struct plan_assignment *assignments; /* NULL in the reply of a write */
    size_t assignments_n;
};

/* As they are after the write and all that followed from it, in the order of the request, each with
 * `version` and `plan`, without attempts, groups, options and arguments. */
struct plan_written {
    struct task_view *checks; /* as many as were written */
    struct task_view *stages;
};

struct plan_query {
    int64_t run;
    const struct str *names; /* empty: any */
    size_t names_n;
    bool only_checks, only_stages;
    const struct str *kinds; /* of checks; empty: any */
    size_t kinds_n;
    const struct str *states; /* ours (READY) or a check's (WAITING); empty: any */
    size_t states_n;
    int64_t after; /* ids after this one */
    int64_t max;   /* 1 … PLAN_PAGE_MAX */
};

/* In the order in which they were first written, whole: with attempts, groups (whose names, at most
 * 100 of each, come with task_get() alone), results and assignments. */
struct plan_page {
    struct task_details *list; /* without `why` */
    size_t n;
    int64_t next; /* `after` of the next page; 0: this was the last */
};

/* REQUEST_CONFLICT where the request id made a run with another name or metadata. */
int plan_create(struct tx *tx, const struct plan_create *req, struct run_row *reply);
/* All or nothing. Writers of one run take turns. RUN_NOT_FOUND, RUN_SEALED (results for checks that
 * are there are taken until they are final), RUN_ENDED, VERSION_CONFLICT and CYCLE (with the
 * names), TASK_STARTED, CHECK_FINAL, TASK_NOT_FOUND (an assignment to nothing), LEASE_LOST (the
 * writer's), PERMISSION_DENIED (the writer is of another run), INVALID, TOO_LARGE. */
int plan_write(struct tx *tx, const struct plan_write *req, struct plan_written *reply);
/* Stages without a type go to who claims them from their run, as tasks of a queue do: req->run and
 * req->worker are given. RUN_NOT_FOUND, WORKER_LOST. */
int plan_claim(struct tx *tx, const struct task_claim *req, struct task_leases *reply);
int plan_query(struct tx *tx, const struct plan_query *req, struct plan_page *reply);
/* No more tasks: what waits for names that nobody has written is judged without them, checks are
 * planned, and the run ends with its last task. A sealed one is answered as it is. */
int plan_seal(struct tx *tx, const int64_t *id, struct run_row *reply);

#endif
