/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle: what the engine's requests mean, on plain arrays.
 *
 * A second, simple reading of the engine's headers, for tests: it keeps everything in memory,
 * counts nothing ahead and looks through all rows whenever it wants to know something. It shares
 * the requests and replies with the engine, and no code that decides. Times, ids and the random
 * numbers of backoffs are its own, and equal to the engine's where both are given the same.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "base/buf.h"
#include "engine/doctor.h"
#include "engine/event.h"
#include "engine/queue.h"
#include "engine/reaper.h"
#include "engine/run.h"
#include "engine/task.h"
#include "engine/worker.h"
#include "engine/workflow.h"

#define PLAN_GROUPS_MAX 3
#define PLAN_FROM_MAX   5

/* A workflow, as the oracle and the writer of its text know it. */
struct plan_group {
    enum group_rule rule;
    int64_t need;
    uint32_t from[PLAN_FROM_MAX]; /* places of tasks */
    size_t from_n;
};

struct plan_task {
    struct str name;
    int64_t priority, timeout_us, not_before_us;
    struct retry_policy retry;
    bool retry_said;
    struct plan_group groups[PLAN_GROUPS_MAX];
    size_t groups_n;
};

struct plan {
    struct str name;
    int64_t max_parallel;
    struct plan_task *tasks;
    size_t tasks_n;
};

/* What a run's task carries, of all plans alike. */
#define PLAN_PAYLOAD "{\"argv\":[\"true\"],\"cwd\":\"\",\"env\":[],\"grace_us\":10000000}"

struct oracle;

struct oracle *oracle_new(void);
struct oracle *oracle_free(struct oracle *o);

/* A transaction; the seed is that of its random numbers. */
void oracle_begin(struct oracle *o, int64_t now, uint64_t seed);
void oracle_commit(struct oracle *o);
void oracle_rollback(struct oracle *o);
void oracle_mark(struct oracle *o);
void oracle_undo(struct oracle *o);

/* Of the newest refusal. */
enum code oracle_code(const struct oracle *o);

/* The engine's requests. Replies live as long as the oracle. */
int oracle_queue_put(struct oracle *o, const struct queue_put *req, struct queue_status *reply);
int oracle_queue_get(struct oracle *o, const struct str *name, struct queue_status *reply);
int oracle_task_enqueue(struct oracle *o, const struct task_enqueue *req, struct task_ids *reply);
int oracle_task_claim(struct oracle *o, const struct task_claim *req, struct task_leases *reply);
int oracle_task_complete(struct oracle *o, const struct task_complete *req,
                         struct task_codes *reply);
int oracle_task_release(struct oracle *o, const struct task_release *req, struct task_codes *reply);
int oracle_task_get(struct oracle *o, const struct task_which *req, struct task_details *reply);
int oracle_task_requeue(struct oracle *o, const struct task_which *req, struct task_details *reply);
int oracle_worker_register(struct oracle *o, const struct worker_register *req,
                           struct worker_row *reply);
int oracle_worker_beat(struct oracle *o, const int64_t *incarnation,
                       struct worker_beat_reply *reply);
int oracle_worker_drain(struct oracle *o, const int64_t *incarnation, struct worker_row *reply);
int oracle_worker_leave(struct oracle *o, const int64_t *incarnation, struct worker_row *reply);
int oracle_worker_lose(struct oracle *o, const struct worker_lose *req,
                       struct worker_lose_reply *reply);
int oracle_worker_list(struct oracle *o, const void *unused, struct worker_rows *reply);
/* `definition` of the reply is not set. */
int oracle_workflow_put(struct oracle *o, const struct workflow_put *req, const struct plan *plan,
                        struct workflow_row *reply);
int oracle_run_start(struct oracle *o, const struct run_start *req, struct run_row *reply);
int oracle_run_get(struct oracle *o, const struct run_get *req, struct run_view *reply);
int oracle_run_list(struct oracle *o, const struct run_list *req, struct run_rows *reply);
int oracle_run_newest_open(struct oracle *o, const void *unused, struct run_row *reply);
int oracle_run_cancel(struct oracle *o, const int64_t *id, struct run_row *reply);
int oracle_run_retry(struct oracle *o, const int64_t *id, struct run_retry_reply *reply);
int oracle_reaper_scan(struct oracle *o, const void *unused, struct reaper_reply *reply);
int oracle_event_list(struct oracle *o, const struct event_list *req, struct event_rows *reply);
int oracle_doctor_status(struct oracle *o, const void *unused, struct doctor_status *reply);

/* How many workers are past their time to live and not yet taken out. */
int64_t oracle_silent(const struct oracle *o);

/* All rows as text, one a line, in the form of dump.h; ids are written #N
 * and those of runs @N. */
void oracle_dump(const struct oracle *o, struct buf *out);

/* For whoever makes up requests: something that is there, drawn with `prng`; 0 where nothing is. */
int64_t oracle_any_worker(const struct oracle *o, struct prng *prng);
int64_t oracle_beat_at(const struct oracle *o, int64_t worker);
int64_t oracle_any_run(const struct oracle *o, struct prng *prng);
bool oracle_any_held(const struct oracle *o, struct prng *prng, struct lease_ref *ret);
bool oracle_any_ended(const struct oracle *o, struct prng *prng, struct lease_ref *ret);
/* A task that could be given back, or any. */
int64_t oracle_any_task(const struct oracle *o, struct prng *prng, bool undone);

#endif
