/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_bench: one plan in the engine and in the model, and random requests to both.
 *
 * A history is a list of numbers, each of which makes one request out of what the model holds by
 * then. So a history means something however much of it is left out.
 */
#ifndef PLAN_BENCH_H
#define PLAN_BENCH_H

#include "engine/engine_testing.h"
#include "engine/grant.h"
#include "sim/model_plan.h"

#define BENCH_TEXT_BYTES (64u << 10)

struct bench {
    struct world *w;
    struct arena memory; /* of the history */
    struct model_plan *plan;
    int64_t worker, runner;    /* incarnations: who claims, and who is called */
    struct lease_ref stranger; /* of another run */
    int64_t slots;             /* of the runner; 0: no limit */
    int64_t waited_us;
    bool said;    /* print what is done */
    bool differs; /* with: */
    struct buf *text;
    uint64_t answers[CODE_N]; /* that were given */
};

/* A history from its seed. How many of its numbers were run until something differed, or the run
 * had ended. */
#define BENCH_STEPS 100
void bench_numbers(uint64_t seed, uint64_t numbers[static BENCH_STEPS]);
size_t bench_run(struct bench *b, uint64_t seed, const uint64_t *numbers, size_t n);

#endif
