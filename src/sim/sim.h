/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: servers, workers and clients on one store, in one thread and by one seed.
 *
 * The calls, the hub, the duties, the batcher, the engine and the store (SQLite in memory) are
 * those of the daemon; the clock, the network, workers, clients and what goes wrong are simulated.
 * One seed gives one history, byte for byte, on every machine. After each transaction a model of
 * what the requests mean is compared with what was answered, and every now and then the doctor
 * looks at the store. docs/simulation.md explains it.
 *
 *     options --sim_new--> STORM --storm_us--> CALM --everything rests--> over
 *                            \________ a check fails ________/----------> over, with a failure
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"
#include "core/task.h"
#include "core/worker.h"

#define SIM_SERVERS_MAX 4
#define SIM_WORKERS_MAX 16
#define SIM_CLIENTS_MAX 8
#define SIM_QUEUES_MAX  4
#define SIM_RUNNERS_MAX 8
#define SIM_FAULTS_MAX  4096 /* that may be named to be left in */

/* What goes wrong. */
#define SIM_FAULTS(X)                                                                              \
    X(NET_DELAY, "a message takes long")                                                           \
    X(NET_LOSS, "a message is lost")                                                               \
    X(NET_TWICE, "a message comes twice")                                                          \
    X(NET_CUT, "a server and a program do not reach each other")                                   \
    X(COMMIT_FAILS, "a commit fails")                                                              \
    X(COMMIT_DOUBT_DONE, "a commit takes place and nobody knows")                                  \
    X(COMMIT_DOUBT_UNDONE, "a commit does not take place and nobody knows")                        \
    X(STORE_FULL, "the disk is full")                                                              \
    X(STORE_DISK, "the disk fails")                                                                \
    X(STORE_LOCKED, "another program holds the lock")                                              \
    X(STORE_DEADLOCK, "a transaction has to be run again")                                         \
    X(STORE_SLOW, "the store is slow")                                                             \
    X(SERVER_KILL, "a server dies")                                                                \
    X(SERVER_KILL_COMMITTED, "a server dies between a commit and its answers")                     \
    X(SERVER_KILL_UNCOMMITTED, "a server dies before a commit")                                    \
    X(CLOCK_FORWARD, "the wall clock is set forward")                                              \
    X(CLOCK_BACK, "the wall clock is set back")                                                    \
    X(WORKER_CRASH, "a worker dies, and comes again under its name")                               \
    X(WORKER_SLEEP, "a worker stands still and wakes")                                             \
    X(WORKER_SLOW, "an attempt takes longer than it may")                                          \
    X(WORKER_FAILS, "an attempt fails")                                                            \
    X(WORKER_LIES, "a worker shows a token that it does not hold")                                 \
    X(WORKER_TWICE, "a worker completes twice")                                                    \
    X(WORKER_DIFFERS, "a worker completes again, and says something else")                         \
    X(WORKER_RELEASES, "a worker gives its leases back")                                           \
    X(WORKER_LEAVES, "a worker leaves")                                                            \
    X(PROCESS_MISSING, "a process cannot be started")                                              \
    X(PROCESS_FAILS, "a process ends with an exit code")                                           \
    X(PROCESS_KILLED, "a process is killed by a signal")                                           \
    X(PROCESS_SLOW, "a process takes nearly all of its time")                                      \
    X(PROCESS_HANGS, "a process does not end by itself")                                           \
    X(CLIENT_TWICE, "a client asks again for what was done")                                       \
    X(CLIENT_LEAVES, "a client goes while it waits")                                               \
    X(CALL_BREAKS, "a call to a runner breaks off")                                                \
    X(RUNNER_REFUSES, "a runner does not take a stage")                                            \
    X(RUNNER_HANGS, "a runner takes a call and does not answer")                                   \
    X(RUNNER_LATE, "a runner answers after the deadline")                                          \
    X(RUNNER_GARBAGE, "a runner answers garbage")                                                  \
    X(RUNNER_FORGETS, "a runner accepts a stage and forgets it")                                   \
    X(RUNNER_SILENT, "a runner tells nothing of the progress that it promised")
#define SIM_FAULT_ENUM(name, text) SIM_##name,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULT_N };

/* How often each goes wrong, and in what world. */
struct sim_profile {
    const char *name, *help;
    int servers, workers, clients, queues;
    int tasks; /* enqueued in all, about */
    int runs;
    int runners, plans;
    int64_t storm_us;
    uint32_t per_million[SIM_FAULT_N];
};
/* NULL: there is none of that name. The list ends with a NULL name. */
const struct sim_profile *sim_profile(const char *name);
extern const struct sim_profile sim_profiles[];

/* One occasion on which something may go wrong: of whom, and which of his occasions. */
struct sim_occasion {
    uint32_t whose;
    uint32_t number;
};

struct sim_options {
    uint64_t seed;
    struct sim_profile profile; /* a copy, which may be changed */
    uint64_t steps_max;         /* 0: until it rests */
    FILE *trace;                /* a line for everything that happens; NULL: none */
    bool hashed;                /* of these lines, without a trace too */
    /* Only these go wrong, where `only` is set. */
    bool only;
    const struct sim_occasion *left;
    size_t left_n;
    bool scripted;   /* nobody does anything that a script does not ask for */
    uint8_t *states; /* SIM_STATES_BYTES: a bit for each state of the world that was met, by its
                        hash; NULL: they are not noted */
};
#define SIM_STATES_BYTES (1u << 18)

/* What was seen to happen, by kind. */
struct sim_coverage {
    uint64_t faults[SIM_FAULT_N];
    uint64_t tasks[TASK_STATE_N][TASK_EVENT_N][TASK_STATE_N];
    uint64_t workers[WORKER_STATE_N][WORKER_EVENT_N][WORKER_STATE_N];
    uint64_t calls, commits;
};

#define SIM_FAILURE_BYTES 1000
struct sim_result {
    const char *check; /* the id of the check that failed; NULL: none */
    char text[SIM_FAILURE_BYTES];
    uint64_t steps;
    uint64_t hash; /* of the lines, where there is a trace or it was asked for */
    int64_t us;    /* simulated */
    struct sim_coverage coverage;
    struct sim_occasion *faults; /* that went wrong, in their order */
    size_t faults_n;
};

/* One history from its beginning to its end. The result is given back with sim_result_clear(). */
void sim_run(const struct sim_options *options, struct sim_result *ret);
void sim_result_clear(struct sim_result *r);

#endif
