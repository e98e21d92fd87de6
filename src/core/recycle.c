/* SPDX-License-Identifier: Apache-2.0 */
#include "core/recycle.h"

#include <assert.h>
#include <stdbool.h>

#define SHARE_MIN  0.9
#define SHARE_WIDE 0.2

static const struct str texts[] = {
#define RECYCLE_TEXT(name, text) [RECYCLE_##name] = {text, sizeof(text) - 1},
    RECYCLE_REASONS(RECYCLE_TEXT)
#undef RECYCLE_TEXT
};

double recycle_share(struct prng *prng)
{
    return SHARE_MIN + SHARE_WIDE * prng_unit(prng);
}

static bool reached(int64_t used, int64_t limit, double share)
{
    return limit > 0 && (double)used >= (double)limit * share;
}

enum recycle_reason recycle_due(const struct recycle_limits *limits, const struct recycle_use *use,
                                double share)
{
    if (reached(use->calls, limits->calls, share))
        return RECYCLE_CALLS;
    if (reached(use->age_us, limits->age_us, share))
        return RECYCLE_AGE;
    if (reached(use->memory_bytes, limits->memory_bytes, share))
        return RECYCLE_MEMORY;
    return RECYCLE_NONE;
}

struct str recycle_text(enum recycle_reason reason)
{
    assert(reason < RECYCLE_REASON_N);
    return texts[reason];
}
