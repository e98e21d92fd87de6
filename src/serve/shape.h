/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape: replies of the engine as JSON, as docs/api.md describes them.
 *
 * Ids and tokens are strings of digits, times RFC 3339, durations `_s` numbers of seconds; null
 * stands where there is nothing. Each function gives a new reference.
 */
#ifndef SERVE_SHAPE_H
#define SERVE_SHAPE_H

#include <jansson.h>

#include "engine/doctor.h"
#include "engine/event.h"
#include "engine/run.h"
#include "engine/task.h"
#include "engine/workflow.h"

json_t *shape_id(int64_t id);      /* 0: null */
json_t *shape_time(int64_t at);    /* 0: null */
json_t *shape_seconds(int64_t us); /* to the microsecond */
/* Bytes that are no UTF-8 become U+FFFD. */
json_t *shape_text(struct str s);
/* JSON that is stored as text; null where it is empty. */
json_t *shape_json(struct str s);

json_t *shape_run(const struct run_row *run);
json_t *shape_run_view(const struct run_view *view);
json_t *shape_run_line(const struct run_row *run); /* as in a list */
json_t *shape_run_why(const struct run_why *why);
json_t *shape_task(const struct task_view *task);
json_t *shape_task_details(const struct task_details *details);
json_t *shape_task_why(const struct task_details *details);
json_t *shape_event(const struct event *e);
json_t *shape_workflow(const struct workflow_row *w); /* with its source and definition */
json_t *shape_workflow_line(const struct workflow_row *w);
json_t *shape_worker(const struct worker_row *w);
json_t *shape_check(const struct doctor_check *c);

/* What status.get gives but for `version` and `store`. */
json_t *shape_status(const struct doctor_status *s);

#endif
