/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_task: what the methods of weft.v1.Tasks do.
 */
#ifndef SERVE_API_TASK_H
#define SERVE_API_TASK_H

#include "engine/task.h"
#include "serve/api.h"

extern const struct api_action api_task_get, api_task_why, api_task_requeue, api_task_cancel;

/* For the methods that show tasks with something else. */
Weft__V1__Task *api_task_show(struct arena *a, const struct task_view *t);
/* With what only a look at one task, or a query, shows. */
Weft__V1__Task *api_task_whole(struct arena *a, const struct task_details *d);
Weft__V1__TaskWhy *api_task_why_line(struct arena *a, const struct task_details *d);

#endif
