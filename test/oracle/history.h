/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: requests in transactions, made up from a seed, and run on the oracle or on a store.
 *
 * A request names what earlier replies have told: #7.2 is the second new id in the reply to request
 * 7. So a history means the same whatever numbers a store gives out, and still means something when
 * requests are left out of it: what was never told is an id that does not exist.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "oracle.h"
#include "store/store_testing.h"

struct ref {
    uint32_t request; /* 0: no reply; `place` 0 is then the id 0, and anything else an unknown id */
    uint32_t place;   /* from 1 */
};

#define HISTORY_KINDS(X)                                                                           \
    X(queue_put)                                                                                   \
    X(queue_get)                                                                                   \
    X(task_enqueue)                                                                                \
    X(task_claim)                                                                                  \
    X(task_complete)                                                                               \
    X(task_release)                                                                                \
    X(task_get)                                                                                    \
    X(task_requeue)                                                                                \
    X(worker_register)                                                                             \
    X(worker_beat)                                                                                 \
    X(worker_drain)                                                                                \
    X(worker_leave)                                                                                \
    X(worker_lose)                                                                                 \
    X(worker_list)                                                                                 \
    X(workflow_put)                                                                                \
    X(run_start)                                                                                   \
    X(run_get)                                                                                     \
    X(run_list)                                                                                    \
    X(run_newest_open)                                                                             \
    X(run_cancel)                                                                                  \
    X(run_retry)                                                                                   \
    X(reaper_scan)                                                                                 \
    X(event_list)                                                                                  \
    X(doctor_status)
#define HISTORY_ENUM(name) KIND_##name,
enum kind { HISTORY_KINDS(HISTORY_ENUM) KIND_N };

struct result {
    struct ref task, token;
    struct task_result result;
};

struct request {
    uint32_t number; /* from 1, and kept when others are left out */
    enum kind kind;
    bool undone;             /* taken back after it was done */
    struct ref id;           /* the worker, run or task */
    struct ref run;          /* of a claim, of a task by name, of a worker */
    struct str name;         /* of a queue, task, worker or workflow; why a worker is lost */
    struct str kind_of;      /* of a worker */
    int64_t max, slots, ttl; /* also tasks_max, version, max_parallel */
    bool paused;
    const struct plan *plan;
    struct task_new *tasks;
    size_t tasks_n;
    struct result *results;
    size_t results_n;
};

/* A transaction. */
struct step {
    int64_t now;
    uint64_t seed;
    bool rolled_back;
    struct request *list;
    size_t n;
};

struct history {
    uint64_t seed;
    struct arena arena;
    struct step *steps;
    size_t n;
};

/* Runs are numbered apart (@), from 1; all other ids (#) come from one counter of the store. */
enum space { SPACE_ID = '#', SPACE_RUN = '@' };

struct label {
    enum space space;
    int64_t id;
    struct ref ref;
};

/* Whoever runs a history: the oracle, or the engine on a store. */
struct subject {
    struct oracle *oracle; /* NULL: the engine */
    struct store *store;
    struct store_testing *place; /* NULL: no store, or one in memory */
    struct tx tx;
    struct prng prng;
    struct arena arena;
    struct label *labels;
    size_t labels_n, labels_cap;
    int fault; /* of the newest step; 0: it was done */
};

void subject_clear(struct subject *s); /* between histories: nothing was told yet */
void subject_deinit(struct subject *s);
struct ref subject_ref(const struct subject *s, enum space space, int64_t id);

/* Run a transaction. The replies, one text a request, live in `a`. False, with what happened in
 * *ret_fault, where the store failed; it is rolled back then, and has told nothing. */
bool subject_step(struct subject *s, const struct step *step, struct arena *a, struct str *replies,
                  struct str *ret_fault);
/* What the doctor finds. */
struct str subject_doctor(struct subject *s, int64_t now, struct arena *a);
/* All rows, comparable; the empty text where they cannot be reached. */
struct str subject_dump(struct subject *s, struct arena *a);

/* Make up `steps` transactions. */
void history_make(struct history *h, uint64_t seed, size_t steps);
void history_deinit(struct history *h);

/* A request in words. */
void history_print(struct buf *out, const struct request *q);

#endif
