/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broken: rules that are broken on purpose, so that it is seen whether the simulator finds it.
 *
 * Only a test's own objects are compiled with WEFT_BROKEN (src/sim/broken_test.c); everywhere else
 * BROKEN() is false and nothing of it is left. One rule at a time.
 */
#ifndef BASE_BROKEN_H
#define BASE_BROKEN_H

#include <stdbool.h>

#define BROKEN_RULES(X)                                                                            \
    X(TOKEN, "a completion's token is not compared")                                               \
    X(CONFLICT, "a second completion with another content is acknowledged")                        \
    X(RENEWAL, "a renewal is acknowledged and not kept: the lease is given to another while its "  \
               "holder lives")                                                                     \
    X(EXPIRY, "a lease expires a second early")                                                    \
    X(SILENCE, "a worker is lost when it is only late")                                            \
    X(PROMOTION, "the first of several delayed tasks is not promoted")                             \
    X(COUNTS, "counts are written in a transaction of their own")                                  \
    X(ANSWER, "a commit's failure is not looked at: the answer comes before it")                   \
    X(DOUBT, "a commit of which nobody knows is run again without asking")                         \
    X(KEY, "a request with a key is done again")                                                   \
    X(SLOTS, "what a worker holds already is not counted")                                         \
    X(LIMIT, "a queue's limit on leases is passed by one")                                         \
    X(ORDER, "the last task that was found is given first")                                        \
    X(LIVES, "what an earlier life of a worker held stays with it")                                \
    X(CANCEL, "who holds a task is not told that it is cancelled")                                 \
    X(BUDGET, "a lost attempt is not counted")                                                     \
    X(EARLY, "a task of a run goes as soon as one of those that it waits for has ended")           \
    X(STUCK, "of several tasks of a run that may go, the last is forgotten")
#define BROKEN_ENUM(name, text) BROKEN_##name,
enum broken_rule { BROKEN_RULES(BROKEN_ENUM) BROKEN_N };

#ifdef WEFT_BROKEN
extern enum broken_rule broken_rule; /* BROKEN_N: none */
#define BROKEN(name) (broken_rule == BROKEN_##name)
#else
#define BROKEN(name) false
#endif

#endif
