/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expected: a history, and what the oracle says to each of its steps.
 */
#ifndef EXPECTED_H
#define EXPECTED_H

#include "history.h"

struct expected_step {
    struct str *replies;
    struct str dump; /* after it */
};

struct expected {
    struct history h;
    struct expected_step *steps; /* steps[0] is before the first; h.steps[i] is steps[i + 1] */
    struct str doctor;           /* after the last */
    struct arena arena;
};

/* What was there before is forgotten. */
void expected_make(struct expected *e, uint64_t seed, size_t steps);
void expected_deinit(struct expected *e);

/* The number that a test finds in the environment, from 1; 0 where there is none. */
int64_t expected_asked(const char *name);

#endif
