/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: a name under which tasks wait in order of (priority, id), its settings, and what an
 * operator does with its tasks.
 */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/lease.h"
#include "engine/tx.h"

#define QUEUE_NAME_BYTES_MAX 200u
#define QUEUE_TASKS_DEFAULT  10000000
#define QUEUE_TASKS_MAX      1000000000LL
#define QUEUE_LEASES_MAX     1000000000LL
#define QUEUE_RATE_MILLI_MAX 1000000000000LL /* 1000 million claims a second */
#define QUEUE_CLAIM_TTL_US   (3600 * 1000000LL)
#define QUEUE_RETENTION_US   (7 * 86400 * 1000000LL)
#define QUEUE_RETENTION_MAX  (3660 * 86400 * 1000000LL)
#define QUEUE_PAGE_MAX       1000
#define QUEUE_REQUEUE_MAX    10000
#define QUEUE_PURGE_MAX      10000
/* Bytes; the statements of lists have it too. */
#define QUEUE_PAYLOAD_SHOWN_MAX 16384

/* The settings that a request may give, as bits 1 << QUEUE_SET_x. */
#define QUEUE_SETS(X)                                                                              \
    X(PAUSED)                                                                                      \
    X(TASKS_MAX)                                                                                   \
    X(CONCURRENCY_MAX)                                                                             \
    X(KEY_CONCURRENCY)                                                                             \
    X(RATE)                                                                                        \
    X(RATE_BURST)                                                                                  \
    X(FAIR)                                                                                        \
    X(CLAIM_TTL)                                                                                   \
    X(RETENTION)                                                                                   \
    X(RETRY)                                                                                       \
    X(TASK_TIMEOUT)
#define QUEUE_SET_ENUM(name) QUEUE_SET_##name,
enum queue_set { QUEUE_SETS(QUEUE_SET_ENUM) QUEUE_SET_N };

struct queue_status {
    struct str name;
    bool paused;
    /* Open tasks at most. They are counted without a lock, so that programs which add at the same
     * moment may together pass it by what each of them adds. */
    int64_t tasks_max;
    int64_t concurrency_max; /* leases at once; 0: no limit */
    int64_t key_concurrency; /* likewise, of one key */
    int64_t rate_milli;      /* claims in 1000 seconds; 0: no limit */
    int64_t rate_burst;      /* claims at once; 0: one second's worth */
    bool fair;               /* keys take turns */
    int64_t claim_ttl_us;    /* of a lease that no heartbeat keeps */
    int64_t retention_us;    /* attempts that ended are kept so long */
    struct str retry;        /* of tasks that bring none, core/retry's text; empty: the default */
    int64_t task_timeout_us; /* of an attempt, of tasks that bring none; 0: none */
    int64_t created_at;
    int64_t version; /* from 1; grows with each change of the settings */

    int64_t counts[TASK_STATE_N];
    int64_t oldest_ready_at; /* since when its first READY task waits; 0: there is none */
};

struct queue_put {
    struct str name;
    uint32_t given;          /* which settings of `set` are meant; the others stay */
    struct queue_status set; /* a tasks_max of 0 is QUEUE_TASKS_DEFAULT */
    int64_t version;         /* 0: any; else QUEUE_CHANGED where the settings have another */
};

/* 0, or refused: a queue cannot have that name. */
int queue_check_name(struct tx *tx, struct str name);
/* Make the queue with the defaults where there is none, and change the settings given. */
int queue_put(struct tx *tx, const struct queue_put *req, struct queue_status *reply);
int queue_get(struct tx *tx, const struct str *name, struct queue_status *reply);
/* Without the counts and the oldest task, which cost more statements. */
int queue_settings(struct tx *tx, const struct str *name, struct queue_status *reply);
/* Nothing is claimed any more, what is leased goes on; and back. */
int queue_pause(struct tx *tx, const struct str *name, struct queue_status *reply);
int queue_resume(struct tx *tx, const struct str *name, struct queue_status *reply);

struct queue_page {
    struct str after; /* the name that the page before ended with; empty: the first page */
    int64_t max;      /* 1 … QUEUE_PAGE_MAX */
};
struct queue_statuses {
    struct queue_status *list; /* by name, without oldest_ready_at */
    size_t n;
    bool more;
};
int queue_list(struct tx *tx, const struct queue_page *req, struct queue_statuses *reply);

struct queue_tasks {
    struct str queue;
    enum task_state state; /* READY in the order of claims, those that wait for others of their key
                              last; DELAYED as they are due; RUNNING (with LEASED) and FAILED by
                              id */
    struct str after;      /* `next` of the page before; empty: the first page */
    int64_t max;           /* 1 … QUEUE_PAGE_MAX */
};
struct queue_task {
    int64_t id;
    enum task_state state;
    struct str payload; /* empty where it has more than QUEUE_PAYLOAD_SHOWN_MAX bytes */
    struct str key, reason;
    struct str message; /* of the newest attempt that ended; of a held one: its newest progress */
    int64_t priority, attempts, created_at, due_at, ended_at;
};
struct queue_task_list {
    struct queue_task *list;
    size_t n;
    struct str next; /* `after` of the next page; empty: this is the last */
};
int queue_tasks(struct tx *tx, const struct queue_tasks *req, struct queue_task_list *reply);

struct queue_requeue_item {
    int64_t id;
    bool edited;
    struct str payload; /* where edited: instead of the one it had */
};
struct queue_requeue {
    struct str queue;
    const struct queue_requeue_item *list;
    size_t n;
    int64_t max; /* where n is 0: so many of the oldest dead letters; 0: QUEUE_REQUEUE_MAX */
};
struct queue_requeued {
    struct tx_problem *results; /* one per task that was named, with CODE_OK where it went */
    size_t n;
    int64_t requeued;
};
/* Give dead letters a new budget of attempts; the numbers of their attempts go on. Of those named,
 * each is answered for itself: TASK_NOT_FOUND, TASK_STATE (not FAILED), QUEUE_FULL. */
int queue_requeue(struct tx *tx, const struct queue_requeue *req, struct queue_requeued *reply);

struct queue_purge {
    struct str queue;
    uint32_t states; /* 1 << TASK_READY, TASK_DELAYED, TASK_FAILED */
};
struct queue_purged {
    int64_t purged;
    bool more; /* another call finds more */
};
/* Cancel what waits, forget what failed; at most QUEUE_PURGE_MAX. */
int queue_purge(struct tx *tx, const struct queue_purge *req, struct queue_purged *reply);

#endif
