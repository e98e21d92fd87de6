/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_plan: what the methods of weft.v1.Runs do with work plans (docs/plans.md).
 */
#ifndef SERVE_API_PLAN_H
#define SERVE_API_PLAN_H

#include "engine/plan.h"
#include "serve/api.h"

extern const struct api_action api_plan_create, api_plan_write, api_plan_query, api_plan_seal,
    api_plan_claim;

/* What a task has because it is a check or a stage. */
void api_plan_show(struct arena *a, const struct task_view *t, Weft__V1__Task *m);
/* What attempts tell of checks, with their completion. */
int api_plan_updates(struct api *api, Weft__V1__CheckUpdate *const *list, size_t n,
                     const struct check_update **ret);

#endif
