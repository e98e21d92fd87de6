/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_follow: what else follows when fewer than all of a group's tasks have met it.
 */
#ifndef ENGINE_PLAN_FOLLOW_H
#define ENGINE_PLAN_FOLLOW_H

#include "engine/change.h"

/* A group that is met. */
struct plan_some {
    int64_t group;
    enum group_rule rule;
    bool cancel_rest;
};

/* Whether others than all of it can meet the group. */
bool plan_needs_some(const struct group *g);
/* Keep the names that met them, and cancel the rest where that was asked for. */
int plan_satisfied(struct change *c, const struct plan_some *groups, size_t n);

/* These checks (one cell each) are edited no more: those that wait for something still are PLANNED,
 * of which there is an event. */
int plan_planned(struct tx *tx, struct sets *tasks);

/* ["a","b"] */
struct str plan_json_names(struct arena *a, const struct str *names, size_t n);

#endif
