/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prng: random numbers from a seed, the same on every machine (xoshiro256**, Blackman and Vigna
 * 2018).
 *
 * For jitter and simulation, never for secrets.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_seed(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);

/* 0 … n-1, without bias; n is at least 1. */
uint64_t prng_below(struct prng *p, uint64_t n);

/* 0 up to, but not, 1. */
double prng_unit(struct prng *p);

#endif
