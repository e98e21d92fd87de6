/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bucket.h"

#include <assert.h>

#define TOKEN 1000000LL

static int64_t capacity(const struct bucket_limit *limit)
{
    int64_t burst = limit->burst ? limit->burst : (limit->rate_milli + 999) / 1000;

    assert(limit->rate_milli >= 1 && limit->rate_milli <= BUCKET_RATE_MILLI_MAX);
    assert(limit->burst >= 0 && limit->burst <= BUCKET_BURST_MAX);
    if (burst > BUCKET_BURST_MAX)
        burst = BUCKET_BURST_MAX;
    return burst * TOKEN;
}

int64_t bucket_fill(struct bucket *b, const struct bucket_limit *limit, int64_t now)
{
    int64_t full = capacity(limit), passed, product, more;

    if (b->level == BUCKET_FULL || b->level > full) {
        b->level = full;
        b->at = now;
    } else if (now > b->at) {
        /* What does not fit into 64 bits is more than any bucket holds. */
        if (__builtin_sub_overflow(now, b->at, &passed) ||
            __builtin_mul_overflow(passed, limit->rate_milli, &product) ||
            product / 1000 >= full - b->level) {
            b->level = full;
            b->at = now;
        } else {
            /* Each count drops up to a millionth, so what is little is left to a later one: no more
             * than a thousandth is lost, however often somebody looks. */
            more = product / 1000;
            if (more >= TOKEN / 1000 || (b->level + more) / TOKEN > b->level / TOKEN) {
                b->level += more;
                b->at = now;
            }
        }
    }
    return b->level / TOKEN;
}

void bucket_take(struct bucket *b, int64_t n)
{
    assert(n >= 0 && b->level >= 0 && n <= b->level / TOKEN);
    b->level -= n * TOKEN;
}

int64_t bucket_next_at(const struct bucket *b, const struct bucket_limit *limit)
{
    int64_t lacks, wait_us, at;

    if (b->level == BUCKET_FULL || b->level >= TOKEN)
        return b->at;
    lacks = (TOKEN - b->level) * 1000;
    wait_us = (lacks + limit->rate_milli - 1) / limit->rate_milli;
    return __builtin_add_overflow(b->at, wait_us, &at) ? INT64_MAX : at;
}
