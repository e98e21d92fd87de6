/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why: in one sentence, why a task or run is where it is, and what to do about it.
 */
#ifndef ENGINE_WHY_H
#define ENGINE_WHY_H

#include "engine/run.h"
#include "engine/task.h"

#define WHY_NAMES_MAX 100

/* Fill in the dependency groups of details->task. */
int why_groups(struct tx *tx, struct task_details *details);
/* Fill in details->why; the groups are there. */
int why_task(struct tx *tx, struct task_details *details);
/* Fill in why->why; the tasks are there. */
int why_run(struct tx *tx, struct run_why *why);

#endif
