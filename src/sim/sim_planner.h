/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_planner: whoever makes plans: creates them, writes checks and stages in several writes, and
 * seals them, or cancels.
 *
 *     CREATING --> GROWING --all is written, or calm--> SEALING --> (over for it)
 */
#ifndef SIM_SIM_PLANNER_H
#define SIM_SIM_PLANNER_H

#include "sim/ask.h"

/* Of the client of that number. */
struct sim_planner *sim_planner_new(struct sim *s, size_t client);
/* It begins plans now and then, until the calm. */
void sim_planner_start(struct sim_planner *p);

/* A plan that is created, written so, and sealed. */
void sim_planner_make(struct sim_planner *p, struct ask_write *w);

/* Stages that one adds while it runs, in the world's memory; they answer `check` (NULL: nothing).
 */
struct ask_write *sim_planner_spawn(struct sim *s, struct stream *chance, struct lease_ref writer,
                                    const char *check);

#endif
