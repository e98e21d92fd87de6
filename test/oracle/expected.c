/* SPDX-License-Identifier: Apache-2.0 */
#include "expected.h"

#include <stdlib.h>

void expected_make(struct expected *e, uint64_t seed, size_t steps)
{
    struct subject oracle = {.oracle = oracle_new()};
    struct str unused;

    history_deinit(&e->h);
    arena_reset(&e->arena);
    history_make(&e->h, seed, steps);
    e->steps = ARENA_ARRAY(&e->arena, struct expected_step, steps + 1);
    e->steps[0].dump = subject_dump(&oracle, &e->arena);
    for (size_t i = 0; i < steps; i++) {
        const struct step *step = &e->h.steps[i];
        struct expected_step *x = &e->steps[i + 1];

        x->replies = ARENA_ARRAY(&e->arena, struct str, step->n);
        subject_step(&oracle, step, &e->arena, x->replies, &unused);
        x->dump = subject_dump(&oracle, &e->arena);
    }
    e->doctor = subject_doctor(&oracle, e->h.steps[steps - 1].now, &e->arena);
    subject_deinit(&oracle);
}

void expected_deinit(struct expected *e)
{
    history_deinit(&e->h);
    arena_deinit(&e->arena);
}

int64_t expected_asked(const char *name)
{
    const char *text = getenv(name);
    int64_t n = 0;

    if (text && (!str_int64(str_of(text), &n) || n < 1))
        fail_msg("%s must be a number from 1", name);
    return n;
}
