/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minimize: a history that fails, made short.
 *
 * First the world shrinks (servers, workers, clients, queues, tasks), by this seed or one of the
 * next; then what goes wrong is left out, half of it at a time and in ever smaller pieces (delta
 * debugging, Zeller 1999); while the same check fails.
 */
#ifndef SIM_MINIMIZE_H
#define SIM_MINIMIZE_H

#include "base/arena.h"
#include "sim/sim.h"

#define MINIMIZE_RUNS_MAX 2000

struct minimize_told {
    uint64_t runs;
    size_t faults_before, faults_after;
};

/* `o` fails with `check`; it is changed to one that does so too. What it points to then lives in
 * the arena. */
void minimize_history(struct sim_options *o, const char *check, struct arena *a,
                      struct minimize_told *ret);

#endif
