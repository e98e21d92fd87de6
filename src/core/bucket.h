/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket: a limit on how often, with some room for what comes at once.
 *
 * It fills at a rate and holds no more than its burst; whoever does something takes a token out.
 * Times are handed in, and a clock that was set back fills nothing.
 */
#ifndef CORE_BUCKET_H
#define CORE_BUCKET_H

#include <stdint.h>

#define BUCKET_RATE_MILLI_MAX 1000000000000LL
#define BUCKET_BURST_MAX      1000000000LL
#define BUCKET_FULL           (-1)

struct bucket_limit {
    int64_t rate_milli; /* tokens in 1000 seconds, 1 … BUCKET_RATE_MILLI_MAX */
    int64_t burst;      /* tokens that it holds; 0: one second's worth, rounded up */
};

struct bucket {
    int64_t level; /* millionths of a token; BUCKET_FULL: as many as it holds */
    int64_t at;    /* when that was counted */
};

/* How many whole tokens are in it now; it is brought up to date. */
int64_t bucket_fill(struct bucket *b, const struct bucket_limit *limit, int64_t now);

/* Take `n` tokens out, no more than bucket_fill() has just said. */
void bucket_take(struct bucket *b, int64_t n);

/* When there will be a whole token in it, as it was last brought up to date; not later than now
 * where there is one. */
int64_t bucket_next_at(const struct bucket *b, const struct bucket_limit *limit);

#endif
