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
    int64_t worker, runner; /* incarnations: who claims, and who is called */
    int64_t slots;          /* of the runner; 0: no limit */
    int64_t waited_us;
    bool said;    /* print what is done */
    bool differs; /* with: */
    struct buf *text;
    uint64_t done[32]; /* requests that were done, by kind; refused ones by code: */
    uint64_t refused[CODE_N];
};

/* What is there besides is forgotten: by whatever means, the engine has nothing open then. */
void bench_begin(struct bench *b, uint64_t seed);
void bench_end(struct bench *b);
/* One request, and what came of it is compared. False: something differs. */
bool bench_step(struct bench *b, uint64_t number);

void bench_differ(struct bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All nodes and the run. What the engine has told of versions and ids is taken over. */
void bench_compare(struct bench *b);

#endif
