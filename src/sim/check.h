/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: what is looked at beside the model: the store itself, by its doctor and its counts.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "engine/grant.h"
#include "sim/world.h"

struct check;

/* A connection of its own, which keeps the store alive while no server does. */
struct check *check_new(struct sim *s);
struct check *check_free(struct check *c);

/* The doctor's checks, and that the store has and counts what the model knows: all tasks, or those
 * that may still change. Between transactions. */
void check_store(struct sim *s, struct check *c, bool all);

/* A round of the dispatcher was committed, and nothing else with it or since. */
void check_round(struct sim *s, struct check *c, const struct grant_round *req,
                 const struct grant_leases *found);

#endif
