/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row: rows of the store as structs.
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
#define ROW_TASK_COLUMNS 18

struct task_row {
    int64_t id, run, groups_open, token, worker, timeout_us, ready_at, leased_at, started_at;
    struct str queue, name;
    struct str retry_text; /* read into task.retry by row_retry(), when an attempt ends */
    struct task task;
};

void row_task(const struct rows *rows, size_t i, struct task_row *ret);
void row_retry(struct task_row *row);
void row_run(const struct rows *rows, size_t i, struct run_row *ret);
void row_worker(const struct rows *rows, size_t i, struct worker_row *ret);

/* What the statements that answer dependency groups give. */
struct group_row {
    int64_t id, task;
    struct group group;
    struct str verdict;
    bool waiting;   /* no verdict yet */
    int64_t from;   /* the task whose end it is to count; 0: none */
    bool succeeded; /* that task */
};
void row_group(const struct rows *rows, size_t i, struct group_row *ret);

#endif
