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

/* Its name, the check of the simulator that finds it, and what it is. */
#define BROKEN_RULES(X)                                                                            \
    X(TOKEN, "fence", "a completion's token is not compared")                                      \
    X(CONFLICT, "fence", "a second completion with another content is acknowledged")               \
    X(RENEWAL, "rows",                                                                             \
      "a renewal is acknowledged and not kept: the lease is given to another while its holder "    \
      "lives")                                                                                     \
    X(EXPIRY, "reaper", "a lease expires a second early")                                          \
    X(SILENCE, "reaper", "a worker is lost when it is only late")                                  \
    X(PROMOTION, "reaper", "the first of several delayed tasks is not promoted")                   \
    X(COUNTS, "doctor", "counts are written in a transaction of their own")                        \
    X(ANSWER, "acknowledged", "a commit's failure is not looked at: the answer comes before it")   \
    X(DOUBT, "once", "a commit of which nobody knows is run again without asking")                 \
    X(KEY, "once", "a request with a key is done again")                                           \
    X(SLOTS, "slots", "what a worker holds already is not counted")                                \
    X(LIMIT, "slots", "a queue's limit on leases is passed by one")                                \
    X(ORDER, "fifo", "the last task that was found is given first")                                \
    X(LIVES, "answer", "what an earlier life of a worker held stays with it")                      \
    X(CANCEL, "rows", "who holds a task is not told that it is cancelled")                         \
    X(BUDGET, "rows", "a lost attempt is not counted")                                             \
    X(EARLY, "early", "a task of a run goes as soon as one of those that it waits for has ended")  \
    X(PLACE, "key", "a key gets more places than it has")                                          \
    X(NEXT, "doctor", "who waits for a place of its key is forgotten when one is free")            \
    X(AWAY, "key", "a task that waits to be tried again gives its place away")                     \
    X(KEPT, "withheld", "a queue that limits its keys gives nothing while it has a lease")         \
    X(JUDGE, "doctor", "tasks that wait are not judged anew when the settings of keys change")     \
    X(TURN, "fifo", "keys of a fair queue do not take turns")                                      \
    X(RATE, "rate", "of the tasks that are given at once, one is not counted for the rate")        \
    X(SLOW, "withheld", "a rate allows half of what it should")                                    \
    X(STUCK, "withheld", "of several tasks of a run that may go, the last is forgotten")           \
    X(PAYLOAD, "told", "all tasks of a block bring the payload of the first that is left")         \
    X(TOLD, "told", "a lease is said to end later than it does")                                   \
    X(SHORTER, "told", "a renewal may bring the end of a lease closer")                            \
    X(OUTCOME, "rows", "an attempt that was lost is written down as failed")                       \
    X(OUTPUT, "rows", "what a completion brings is not kept")                                      \
    X(LATE, "late", "the reaper comes once in ten minutes")                                        \
    X(LEFT, "rest", "a worker goes on with leases that a late try of its claim took")              \
    X(AGAIN, "again", "who asks again with a key gets an empty answer")                            \
    X(HEARD, "told", "a claim is told the end of its lease as the deadline of the attempt")        \
    X(SURPLUS, "join", "a new life keeps more leases than it has slots")                           \
    X(DOUBLE, "lease_single", "of two stages that may go the first is given to two runners")       \
    X(CALLED, "called", "a server calls the runner that it knows best for what another got")       \
    X(LOAD, "withheld", "each lease counts twice for the load of its runner")                      \
    X(CALLBACK, "fence", "who tells the end of an attempt that was taken from it is thanked")      \
    X(ACCEPTANCE, "reaper", "a stage that nobody accepts in time is left where it is")

/* Those of plans, which are found beside their model (test/oracle/plan_broken_test.c). */
#define BROKEN_PLAN_RULES(X)                                                                       \
    X(UNBOUND, "a name that is written late lets nobody go")                                       \
    X(HASTY, "a check is concluded while a stage is still assigned to it")                         \
    X(CIRCLE, "tasks may wait for each other")                                                     \
    X(VERSION, "the versions that a writer has read are not compared")                             \
    X(REOPENED, "a check takes results after its last one")                                        \
    X(REST, "what a group can do without goes on")                                                 \
    X(ORPHAN, "a stage does not await those that it has added")                                    \
    X(STARTED, "what has started is edited")                                                       \
    X(MISSING, "a sealed run goes on waiting for names that nobody has written")                   \
    X(UPFRONT, "a check that is being planned is skipped")                                         \
    X(UNSEALED, "a sealed run takes more tasks")                                                   \
    X(CONTENT, "of a failed stage, a check is concluded while the run still grows")                \
    X(SUFFICED, "a group of successes names who failed among those that met it")

#define BROKEN_ENUM(name, ...) BROKEN_##name,
/* BROKEN_N: none. */
enum broken_rule {
    BROKEN_RULES(BROKEN_ENUM) BROKEN_N,
    BROKEN_PLAN_RULES(BROKEN_ENUM) BROKEN_PLAN_N
};

#ifdef WEFT_BROKEN
extern enum broken_rule broken_rule; /* BROKEN_N: none */
#define BROKEN(name) (broken_rule == BROKEN_##name)
#else
#define BROKEN(name) false
#endif

#endif
