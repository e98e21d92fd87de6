/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view: tasks and attempts as people look at them, out of rows.
 */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include "engine/task.h"

/* A view row, or damage as row.h has it; *ret_running is the attempt under way, which has no row of
 * its own yet. */
int view_task(struct tx *tx, const struct rows *rows, size_t i, struct task_view *ret,
              struct task_attempt *ret_running);

/* The same of rows whose first `columns` are those of a view row. */
int view_task_columns(struct tx *tx, const struct rows *rows, size_t i, size_t columns,
                      struct task_view *ret, struct task_attempt *ret_running);

/* Of an attempt row, without its task. */
int view_attempt(struct tx *tx, const struct rows *rows, size_t i, struct task_attempt *ret);

#endif
