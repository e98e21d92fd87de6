/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row: rows of the store as structs.
 *
 * What is read is held against what the program knows and the core relies on; a row that says
 * something else is damage, tx_damaged(), and never an assertion.
 */
#ifndef ENGINE_ROW_H
#define ENGINE_ROW_H

#include "core/group.h"
#include "core/run.h"
#include "core/task.h"
#include "engine/run.h"
#include "engine/tx.h"
#include "engine/worker.h"

/* What the statements that say "a task row" answer, in their order. */
#define ROW_TASK_COLUMNS 23

struct task_row {
    int64_t id, run, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at;
    int64_t priority, turn, gate;
    struct str queue, name, key, unique_key;
    struct str runner;     /* who takes it now, for its event; empty: an executor */
    struct str retry_text; /* read into task.retry by row_retry(), when an attempt ends */
    struct task task;
};

/* A text of the store as a message shows it, whatever it is and however long. */
#define ROW_SHOWN(s) (int)((s).n < 40 ? (s).n : 40), (s).p

int row_task(struct tx *tx, const struct rows *rows, size_t i, struct task_row *ret);
/* Whom a task of this gate waits for (lane.h). */
enum task_taker row_taker(int64_t gate);
void row_retry(struct task_row *row);
int row_run(struct tx *tx, const struct rows *rows, size_t i, struct run_row *ret);
int row_worker(struct tx *tx, const struct rows *rows, size_t i, struct worker_row *ret);

/* What the statements that answer dependency groups give. */
struct group_row {
    int64_t id, task;
    struct group group;
    struct str verdict;
    enum group_role role;
    bool cancel_rest;
    bool waiting;   /* no verdict yet */
    int64_t from;   /* the task whose end it is to count; 0: none */
    bool succeeded; /* that task */
};
int row_group(struct tx *tx, const struct rows *rows, size_t i, struct group_row *ret);
/* The damage of a group that is not group_sound(). */
int row_group_unsound(struct tx *tx, int64_t task, const struct group *g);

#endif
