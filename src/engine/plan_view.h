/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_view: checks and stages as people and programs look at them.
 */
#ifndef ENGINE_PLAN_VIEW_H
#define ENGINE_PLAN_VIEW_H

#include "engine/plan_edit.h"

/* The reply of a write. */
int plan_view_written(struct tx *tx, const struct plan_wish *wishes, size_t n, size_t checks_n,
                      struct plan_written *reply);

/* task_view.version and .plan of one task of a plan, with results and assignments; nothing is done
 * for others. */
int plan_view_one(struct tx *tx, struct task_view *view);

#endif
