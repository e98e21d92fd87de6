/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease: the right of one worker incarnation to one task, for a time.
 *
 * Its token only grows and is never used again. It lives while its holder's heartbeat lives and its
 * deadline has not passed. Whoever completes a task shows the token: the same completion again is
 * an acknowledged no-op, everything else is a conflict.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct lease {
    int64_t token;       /* 0: none */
    int64_t worker;      /* incarnation of the holder */
    int64_t deadline_at; /* 0: none */
};

enum lease_verdict {
    LEASE_CURRENT,  /* it is the live lease: go on */
    LEASE_REPEATED, /* it has ended with this very content: acknowledge, change nothing */
    LEASE_CONFLICT, /* it has ended with another content */
    LEASE_ENDED,    /* it was taken back, or never given */
};

/*
 * What a completion with `token` means. `current` is the token of the task's live lease (0: none);
 * `ended` tells whether an ended attempt with that token is known, and `ended_digest` and `digest`
 * are the digests of its content and of the one shown now.
 */
enum lease_verdict lease_judge(int64_t token, int64_t current, bool ended, struct str ended_digest,
                               struct str digest);

/* Whether the deadline has passed; a lease without one never expires by itself. */
bool lease_overdue(const struct lease *l, int64_t now);

/* A digest of a completion's content (outcome, then each text with its length), 16 hexadecimal
 * digits: FNV-1a, 64 bits. It tells repeats from mistakes; it is no proof against forgery. */
#define LEASE_DIGEST_BYTES 17
struct str lease_digest(const struct str *parts, size_t n, char out[static LEASE_DIGEST_BYTES]);

#endif
