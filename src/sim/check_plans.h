/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_plans: plans as the store has them, beside the leases that the model knows of.
 */
#ifndef SIM_CHECK_PLANS_H
#define SIM_CHECK_PLANS_H

#include "engine/grant.h"
#include "engine/tx.h"
#include "sim/world.h"

/* Those that are not over, or all of them. */
void check_plans(struct sim *s, struct tx *tx, bool all);

/* After a round that has left nothing for another one: that no stage waits for which a runner has
 * room. */
void check_withheld(struct sim *s, struct tx *tx, const struct grant_round *req,
                    const struct grant_leases *found);

#endif
