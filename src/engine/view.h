/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view: tasks and attempts as people look at them, out of rows.
 */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include "engine/task.h"

/* A view row; *ret_running is the attempt under way, which has no row of its own yet. */
void view_task(const struct rows *rows, size_t i, struct task_view *ret,
               struct task_attempt *ret_running);

/* Of an attempt row, without its task. */
void view_attempt(const struct rows *rows, size_t i, struct task_attempt *ret);

#endif
