/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minimize: a history that fails, made short.
 *
 * First the world shrinks (runs, time, workers, servers, clients, queues, tasks), by this seed or
 * one of the next; then what goes wrong is left out, half of it at a time and in ever smaller
 * pieces (delta debugging, Zeller 1999); while the same check fails.
 */
#ifndef SIM_MINIMIZE_H
#define SIM_MINIMIZE_H

#include "base/arena.h"
#include "sim/sim.h"

#define MINIMIZE_RUNS_MAX 10000

struct minimize_told {
    uint64_t runs, steps;
    size_t faults_before, faults_after;
};

/* Asked before each run but the first; false: what has been found by then is taken. */
struct minimize_watch {
    bool (*goes_on)(void *context, const struct minimize_told *so_far);
    void *context;
};

/* `o` fails with `check`; it is changed to one that does so too. What it points to then lives in
 * the arena. `watch` may be NULL. */
void minimize_history(struct sim_options *o, const char *check, struct arena *a,
                      const struct minimize_watch *watch, struct minimize_told *ret);

#endif
