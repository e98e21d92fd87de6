/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_tasks: the tasks of the store, one by one, beside those of the model.
 */
#ifndef SIM_CHECK_TASKS_H
#define SIM_CHECK_TASKS_H

#include "engine/tx.h"
#include "sim/world.h"

/* All of them, or those that may still change. */
void check_tasks(struct sim *s, struct tx *tx, bool all);

#endif
