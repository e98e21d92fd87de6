/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry: outcomes of attempts, and which of them give a task another attempt.
 *
 * The wait before attempt n + 1 is base * factor^(n-1), at most cap, of which a share `jitter` is
 * drawn at random (0: none, 1: all of it, "full jitter" of the AWS Architecture Blog, 2015).
 */
#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "base/str.h"

#define OUTCOMES(X)                                                                                \
    X(NONE, "")                                                                                    \
    X(SUCCEEDED, "succeeded")                                                                      \
    X(FAILED, "failed")                                                                            \
    X(TIMED_OUT, "timed_out")                                                                      \
    X(LOST, "lost")                                                                                \
    X(CANCELLED, "cancelled")                                                                      \
    X(REJECTED, "rejected")
#define OUTCOME_ENUM(name, text) OUTCOME_##name,
enum outcome { OUTCOMES(OUTCOME_ENUM) OUTCOME_N };

struct str retry_outcome_text(enum outcome o);
bool retry_outcome_parse(struct str s, enum outcome *ret);

#define RETRY_ATTEMPTS_MAX   1000
#define RETRY_EXIT_CODES_MAX 16

struct retry_policy {
    int64_t max_attempts; /* 1 … RETRY_ATTEMPTS_MAX, the first one included */
    int64_t base_us;      /* 0: at once */
    int64_t cap_us;
    double factor;     /* 1 … 100 */
    double jitter;     /* 0 … 1 */
    uint32_t outcomes; /* bit 1 << OUTCOME_x: retried */
    /* Where there are any: of `failed`, only attempts that ended with one of them are retried. */
    unsigned exit_codes_n;
    uint8_t exit_codes[RETRY_EXIT_CODES_MAX];
};

/* What holds where a task says nothing: a lost attempt is given out again, three attempts in all; a
 * failed one is not. */
struct retry_policy retry_default(void);

/* What a `retry:` section starts from: failed, timed_out and lost are retried, three attempts, no
 * wait; factor 2, cap 1 h. */
struct retry_policy retry_asked(void);

/* Of a call to a store or a server: four tries, 0.1, 0.2 and 0.4 s between them, each shortened at
 * random by up to a quarter so that those who failed together do not come again together. */
struct retry_policy retry_call(void);

/* Whether the task may try again after attempt `attempt` (from 1) ended so; *ret_wait_us is then
 * the wait before the next one. */
bool retry_decide(const struct retry_policy *p, int64_t attempt, enum outcome o, int exit_code,
                  struct prng *prng, int64_t *ret_wait_us);

/* One line of text that holds the whole policy (factor and jitter to the millionth), and back; for
 * the store. retry_parse is false on text that retry_format did not write. */
#define RETRY_TEXT_BYTES 256
struct str retry_format(const struct retry_policy *p, char out[static RETRY_TEXT_BYTES]);
bool retry_parse(struct str s, struct retry_policy *ret);

#endif
