/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recycle: when a process that works is to be replaced by a fresh one, and why.
 *
 * Each process has a share of its own of the limits, 0.9 to 1.1, so that processes that were
 * started together do not go together.
 */
#ifndef CORE_RECYCLE_H
#define CORE_RECYCLE_H

#include <stdint.h>

#include "base/prng.h"
#include "base/str.h"

#define RECYCLE_REASONS(X)                                                                         \
    X(NONE, "")                                                                                    \
    X(CALLS, "calls")                                                                              \
    X(AGE, "age")                                                                                  \
    X(MEMORY, "memory")                                                                            \
    X(ASKED, "asked")
#define RECYCLE_ENUM(name, text) RECYCLE_##name,
enum recycle_reason { RECYCLE_REASONS(RECYCLE_ENUM) RECYCLE_REASON_N };

/* 0: none. */
struct recycle_limits {
    int64_t calls;
    int64_t age_us;
    int64_t memory_bytes; /* resident */
};

struct recycle_use {
    int64_t calls;
    int64_t age_us;
    int64_t memory_bytes; /* 0: not known */
};

double recycle_share(struct prng *prng);
/* The first limit that is reached. */
enum recycle_reason recycle_due(const struct recycle_limits *limits, const struct recycle_use *use,
                                double share);
struct str recycle_text(enum recycle_reason reason);

#endif
