/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_rows: the oracle's tables, shared by its files only.
 */
#ifndef ORACLE_ROWS_H
#define ORACLE_ROWS_H

#include <assert.h>
#include <inttypes.h>

#include "oracle.h"

struct o_worker {
    struct worker_row row;
    struct str reason;
    int64_t ended_at;
};

struct o_queue {
    struct str name;
    bool paused;
    int64_t tasks_max, created_at;
};

struct o_workflow {
    struct workflow_row row;
    const struct plan *plan;
};

struct o_run {
    int64_t id, version, max_parallel, created_at, ended_at;
    struct str workflow, dir, reason, detail;
    enum run_state state;
};

struct o_task {
    int64_t id, run;
    struct str queue, name, reason, detail, payload;
    enum task_state state;
    int64_t priority, attempts, budget_from, due_at, token, worker, timeout_us;
    int64_t ready_at, leased_at, deadline_at, last_token, created_at, ended_at;
    struct retry_policy retry;
    bool retry_said; /* else the default, stored as no text */
    bool cancel;
    bool gone; /* its row has left its queue */
};

struct o_group {
    int64_t id, run, task;
    enum group_rule rule;
    int64_t need;
    int64_t from[PLAN_FROM_MAX];
    size_t from_n;
    enum group_verdict verdict;
};

struct o_attempt {
    int64_t token, task, run;
    struct str queue;
    int64_t number, worker, leased_at, started_at, ended_at, queue_wait_us;
    struct task_result result;
    bool told; /* by its holder, and not by the engine itself */
};

#define O_TABLES(X)                                                                                \
    X(worker)                                                                                      \
    X(queue)                                                                                       \
    X(workflow)                                                                                    \
    X(run)                                                                                         \
    X(task)                                                                                        \
    X(group)                                                                                       \
    X(attempt)

struct o_events {
    struct event *list;
    size_t n, cap;
};

struct o_state {
#define O_TABLE(name)                                                                              \
    struct o_##name *name;                                                                         \
    size_t name##_n, name##_cap;
    O_TABLES(O_TABLE)
#undef O_TABLE
    struct event *event;
    size_t event_n, event_cap;
    int64_t last_id;
};

struct oracle {
    struct o_state s, begun, marked;
    struct arena arena;
    struct prng prng;
    int64_t now;
    enum code code;
};

/* A list of ids. */
struct o_ids {
    int64_t *list;
    size_t n, cap;
};

#define O_ADD(o, name) ((struct o_##name *)oracle_room(o, #name))
void *oracle_room(struct oracle *o, const char *table);
int64_t oracle_id(struct oracle *o);
int oracle_refuse(struct oracle *o, enum code code);
void oracle_event(struct oracle *o, int64_t run, const struct o_task *t, struct str kind,
                  struct str data);
void oracle_add_id(struct oracle *o, struct o_ids *ids, int64_t id);

struct o_worker *oracle_worker(const struct oracle *o, int64_t id);
struct o_run *oracle_run(const struct oracle *o, int64_t id);
struct o_queue *oracle_queue(const struct oracle *o, struct str name);
/* Among the rows that are still there. */
struct o_task *oracle_task(const struct oracle *o, int64_t id);

bool oracle_is_final(enum task_state s);
int64_t oracle_count(const struct oracle *o, int64_t run, struct str queue, enum task_state s);
int64_t oracle_open(const struct oracle *o, int64_t run, struct str queue);
int64_t oracle_held(const struct oracle *o, int64_t run, int64_t worker);
/* The edges of a group, counted. */
struct group oracle_group_now(const struct oracle *o, const struct o_group *g);

/* Put a task into a state with its event; a final one is added to `ends`. */
void oracle_put(struct oracle *o, struct o_task *t, enum task_state to, struct str reason,
                struct str detail, struct o_ids *ends);
/* Its groups are met: DELAYED or READY. */
void oracle_met(struct oracle *o, struct o_task *t);
/* End the attempt under way; `told` by its holder. */
void oracle_end(struct oracle *o, struct o_task *t, const struct task_result *result, bool told,
                struct o_ids *ends);
/* Judge the groups that wait for what ended, or, where `ends` is NULL, those of a run; what was
 * skipped goes to `next`. */
void oracle_judge(struct oracle *o, const struct o_ids *ends, int64_t run, struct o_ids *next);
/* What follows from the ends of tasks, round by round, up to the ends of runs. */
void oracle_settle(struct oracle *o, struct o_ids *ends);
void oracle_run_event(struct oracle *o, const struct o_run *run, enum run_state from);

/* Give back one task of a run, or all that ended without success. */
int oracle_rewind(struct oracle *o, struct o_run *run, int64_t task, int64_t *ret_n);

#endif
