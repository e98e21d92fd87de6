/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker: whether to ask somebody at all who has failed again and again.
 *
 *     CLOSED --fail, for the last time--> OPEN --ask, after a while--> HALF_OPEN
 *                                          ^                            |  |
 *                                          +------------fail------------+  +--succeed, often
 * enough--> CLOSED
 *
 * Whoever wants to make a call asks; a refusal costs nothing and waits for nobody. Then it tells
 * how the call came out.
 */
#ifndef CORE_BREAKER_H
#define CORE_BREAKER_H

#include <stdint.h>

#include "base/str.h"

#define BREAKER_STATES(X)  X(CLOSED) X(OPEN) X(HALF_OPEN)
#define BREAKER_ENUM(name) BREAKER_##name,
enum breaker_state { BREAKER_STATES(BREAKER_ENUM) BREAKER_STATE_N };

#define BREAKER_EVENTS(X)        X(ASK) X(SUCCEED) X(FAIL)
#define BREAKER_EVENT_ENUM(name) BREAKER_EVENT_##name,
enum breaker_event { BREAKER_EVENTS(BREAKER_EVENT_ENUM) BREAKER_EVENT_N };

struct breaker_policy {
    int64_t failures_max;  /* in a row; with the last of them it opens */
    int64_t open_us;       /* so long nobody is let through */
    int64_t successes_min; /* in a row, until it closes again; as many trials at once */
};

/* 5 failures, 60 s, 3 successes. */
struct breaker_policy breaker_default(void);

/* Zero: closed, without a failure. */
struct breaker {
    enum breaker_state state;
    int64_t failures;  /* in a row, while it is closed */
    int64_t successes; /* in a row, while it is half open */
    int64_t trials;    /* under way, while it is half open */
    int64_t at;        /* the newest failure; while it is half open, the newest trial */
};

enum { BREAKER_E_REFUSED = 1 };

/* Of BREAKER_EVENT_ASK: 0 where the call may be made, or BREAKER_E_REFUSED. What is told of a call
 * is always 0; an outcome that comes late, of a call from before, moves nothing that is open.
 * *ret_why (NULL allowed) says why it moved. */
int breaker_move(struct breaker *b, enum breaker_event event, const struct breaker_policy *p,
                 int64_t now, const char **ret_why);

/* When asking may be of use again; not later than now where it is now. */
int64_t breaker_next_at(const struct breaker *b, const struct breaker_policy *p);

struct str breaker_state_text(enum breaker_state s);

struct buf;
void breaker_diagram(struct buf *out);

#endif
