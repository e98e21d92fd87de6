/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: enqueue, claim, complete, release, requeue, look.
 *
 * Every function takes many at once. A task of a queue that succeeds or is cancelled leaves one
 * attempt row and the counts; one that fails stays as a dead letter. A task of a run stays with its
 * run.
 */
#ifndef ENGINE_TASK_H
#define ENGINE_TASK_H

#include "core/group.h"
#include "core/task.h"
#include "engine/check.h"
#include "engine/tx.h"
#include "engine/worker.h"

#define TASK_BATCH_MAX         10000u
#define TASK_PAYLOAD_BYTES_MAX (1u << 20)
#define TASK_RESULT_BYTES_MAX  (1u << 20)
/* What the leases of one claim weigh, the first one apart: clients of gRPC take replies of 4 MiB
 * where nobody tells them otherwise, and a reply that is not taken is a lease unheard of. */
#define TASK_CLAIM_BYTES_MAX   (7u << 19)
#define TASK_MESSAGE_BYTES_MAX 4096u
#define TASK_STDERR_BYTES_MAX  (16u << 10) /* 4096 bytes, each of them a U+FFFD, and some more */
#define TASK_PRIORITY_MAX      1000
#define TASK_KEY_BYTES_MAX     200u /* of keys and unique keys */

struct task_new {
    struct str payload; /* JSON */
    int64_t priority;
    int64_t delay_us;                 /* not before now + delay … */
    int64_t not_before;               /* … nor before this time */
    const struct retry_policy *retry; /* NULL: the default */
    int64_t timeout_us;               /* of an attempt; 0: none */
    struct str key;                   /* for order, concurrency and fair shares; empty: none */
    /* While a task of the queue that was added with this unique key has not ended, and for
     * unique_us from then on that it was added, another one is not added. Empty: none. */
    struct str unique_key;
    int64_t unique_us;
};

struct task_enqueue {
    struct str queue;
    const struct task_new *list;
    size_t n;
};

struct task_ids {
    int64_t *list;    /* in the order of the request */
    bool *duplicates; /* NULL: none; else which of them stood there already, or come again */
    size_t n;
};

struct task_claim {
    int64_t worker; /* incarnation … */
    struct str guest; /* … or, where worker is 0, the name of a guest (worker.h), whose leases … */
    int64_t ttl_us;   /* … live so long and are renewed on their own; 0: the queue's claim_ttl */
    int64_t run;      /* tasks of this run … */
    struct str queue; /* … or, where run is 0, of this queue */
    int64_t max;
};

/* A task as its holder gets it: claimed and started, so that the attempt counts. */
struct task_lease {
    int64_t task, run, token, attempt;
    int64_t timeout_us;
    int64_t deadline_at; /* 0: none */
    int64_t expires_at;  /* 0: the worker's heartbeat keeps it */
    int64_t started_at;
    int64_t queue_wait_us;
    int64_t priority;
    struct str name; /* of a task of a run */
    struct str queue, key;
    struct str payload;
};

struct task_leases {
    struct task_lease *list; /* in the order (priority, id) */
    size_t n;
    int64_t next_due_at; /* where nothing was there: when the scope's next DELAYED task is due; 0:
                            none */
    bool held; /* a limit on leases may hold tasks back: an end of others may let some go */
};

struct task_result {
    struct lease_ref lease;
    enum outcome outcome;    /* LOST: its holder stopped it, cut off from the store */
    enum task_reason reason; /* NONE where it succeeded */
    struct str message;
    int exit_code;         /* -1: none */
    int signal;            /* 0: none */
    int64_t put_off_us;    /* REJECTED: not to be given out again before so long; 0: at once */
    int64_t start_wait_us; /* from the claim to the start, where its holder made it wait */
    int64_t run_us, cpu_us, max_rss_bytes;
    struct str stderr_tail;
    struct str output;                 /* a JSON object, or empty */
    bool final;                        /* of a failure: it would fail again, and is not retried */
    const struct check_update *checks; /* of its run, a task of a plan */
    size_t checks_n;
};

struct task_complete {
    const struct task_result *list;
    size_t n;
};

/* One answer per result, in order: OK (also for the same completion again), LEASE_LOST where the
 * lease was taken back or never given, COMPLETION_CONFLICT where it was ended with another content.
 * A stage that runners are called for and that nobody cancelled is not CANCELLED by its runner's
 * word: its attempt is REJECTED, TIMED_OUT or LOST, and its check updates are left out. Where its
 * check updates cannot be taken the attempt goes on: CHECK_FINAL, TASK_NOT_FOUND (no such check in
 * the run), TOO_LARGE (more results than a check has), INVALID (its task is of no plan).
 */
struct task_codes {
    enum code *list;
    size_t n;
};

struct task_release {
    const struct lease_ref *list;
    size_t n;
};

/* A queue that does not exist is made with the defaults. QUEUE_FULL where they do not all fit. */
int task_enqueue(struct tx *tx, const struct task_enqueue *req, struct task_ids *reply);
/* At most as many as the worker has free slots. A worker that is not READY gets nothing;
 * WORKER_LOST where it is over. */
int task_claim(struct tx *tx, const struct task_claim *req, struct task_leases *reply);
int task_complete(struct tx *tx, const struct task_complete *req, struct task_codes *reply);
/* Give leases back: the attempt ends as rejected and does not count. */
int task_release(struct tx *tx, const struct task_release *req, struct task_codes *reply);

/* The same for n requests of different callers, in their order, with a few statements in all. One
 * that is refused has its problem set (the others' code is CODE_OK), and nothing of it is written;
 * a fault is all of theirs. They never return ENGINE_E_REFUSED. */
int task_enqueue_many(struct tx *tx, const struct task_enqueue *const *reqs,
                      struct task_ids *const *replies, struct tx_problem *problems, size_t n);
int task_claim_many(struct tx *tx, const struct task_claim *const *reqs,
                    struct task_leases *const *replies, struct tx_problem *problems, size_t n);
int task_complete_many(struct tx *tx, const struct task_complete *const *reqs,
                       struct task_codes *const *replies, struct tx_problem *problems, size_t n);
int task_release_many(struct tx *tx, const struct task_release *const *reqs,
                      struct task_codes *const *replies, struct tx_problem *problems, size_t n);

struct task_attempt {
    int64_t number, token, worker;
    enum outcome outcome;
    bool running; /* it has not ended: only number, token, worker, started_at and what its holder
                     told are known: percent and, as message, its newest progress */
    int percent;  /* while it runs; -1: nothing was told */
    const struct progress *progress; /* of a stage, of one task alone: all that was told */
    size_t progress_n;
    struct str reason, message, stderr_tail;
    bool has_exit_code;
    int exit_code, signal; /* signal 0: none */
    int64_t started_at, ended_at, queue_wait_us, run_us, cpu_us, max_rss_bytes;
};

struct task_view {
    int64_t id, run;
    struct str name, queue, detail, reason;
    enum task_state state;
    int64_t priority, due_at, created_at, ended_at;
    bool cancel;
    struct str output; /* of the attempt that succeeded; empty: none */
    /* Of lists of plan.h, and of one task alone: */
    int64_t version;        /* grows with each change of its state or content */
    struct plan_view *plan; /* of a check or stage (plan.h); NULL: it is of no plan */
    /* Of one task alone, not of lists: */
    struct str key, payload; /* of a task of a queue */
    bool behind;             /* it waits for a place of its key */
    struct str holder;       /* the name of the worker that holds it */
    int64_t held_until;      /* as far as known now: renewing or a heartbeat moves it */
    struct task_attempt *attempts;
    size_t attempts_n;
};

/* A dependency group and the names it waits for. */
struct task_group {
    enum group_rule rule;
    enum group_role role;
    bool cancel_rest;
    int64_t need, total, done, succeeded;
    struct str verdict;
    struct str satisfied; /* where fewer than all sufficed: the names that met it, a JSON list */
    struct str *from;     /* at most 100 of them, the unfinished first */
    enum task_state *from_states; /* TASK_STATE_N: nobody has written it yet */
    size_t from_n;
};

/* A task by id, or by run and name where id is 0. */
struct task_which {
    int64_t id;
    int64_t run;
    struct str name;
};

struct task_details {
    struct task_view task;
    struct task_group *groups;
    size_t groups_n;
    struct str why; /* one sentence: why it is where it is */
};

int task_get(struct tx *tx, const struct task_which *req, struct task_details *reply);
/* Give a FAILED, CANCELLED or SKIPPED task a new budget. In a run, SKIPPED tasks are judged anew
 * with it, and the run goes on. */
int task_requeue(struct tx *tx, const struct task_which *req, struct task_details *reply);

struct task_now {
    int64_t id;
    enum task_state state;
};
/* Cancel a task of a queue: what waits is CANCELLED and leaves, who holds it is told to stop by its
 * next heartbeat or renewal. INVALID for a task of a run, TASK_STATE for one that failed. */
int task_cancel(struct tx *tx, const struct task_which *req, struct task_now *reply);

#endif
