/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: time, chance, the transcript and what is to happen; private to the simulator.
 *
 * Whatever happens is an event of the world: it comes at its time, and those of one time in the
 * order in which they were planned. Nobody draws from a common source of chance: each draws from a
 * stream of his own, so that what is left out of a history changes little of what others do.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "core/code.h"
#include "sim/stream.h"

typedef void world_event(struct sim *s, void *what, int64_t number);
struct happening {
    int64_t at;
    uint64_t order;
    world_event *event;
    void *what;
    int64_t number;
};

/* Places in the network, beside the servers: workers, clients with their planners, runners. */
#define WORLD_RUNNERS_FROM (SIM_WORKERS_MAX + SIM_CLIENTS_MAX)
#define WORLD_PLACES_MAX   (WORLD_RUNNERS_FROM + SIM_RUNNERS_MAX)

struct sim_server;
struct sim_worker;
struct sim_client;
struct sim_planner;
struct sim_runner;
struct model;

struct sim {
    struct sim_options o;
    struct clock_simulated clock;
    struct arena memory; /* of all that lives as long as the world */
    struct happening *heap;
    size_t heap_n, heap_cap;
    uint64_t order, steps;
    int64_t calm_at; /* monotonic: when the storm is over */
    bool calm;
    struct buf line;
    uint64_t hash;
    struct sim_result *result;
    struct sim_occasion *faults;
    size_t faults_n, faults_cap;

    struct model *model;
    struct sim_server *servers[SIM_SERVERS_MAX];
    struct sim_worker *workers[SIM_WORKERS_MAX];
    size_t workers_n;
    struct sim_client *clients[SIM_CLIENTS_MAX];
    size_t clients_n;
    struct sim_runner *runners[SIM_RUNNERS_MAX];
    size_t runners_n;
    struct sim_planner *planners[SIM_CLIENTS_MAX]; /* of the clients; NULL: it plans nothing */
    struct str store;                              /* the URL */
    int64_t asks;
    bool cut[WORLD_PLACES_MAX][SIM_SERVERS_MAX];
    struct stream nemesis;
};

void world_init(struct sim *s, const struct sim_options *o, struct sim_result *result);
void world_deinit(struct sim *s);
/* The streams, by whose they are. */
enum {
    STREAM_NEMESIS = 1,
    STREAM_SERVER = 100,
    STREAM_CLIENT = 200,
    STREAM_WORKER = 300,
    STREAM_LOCAL = 400,
    STREAM_RUNNER = 500,
    STREAM_PLANNER = 600,
    STREAM_WIRE = 700,
};

/* In so many microseconds. */
void world_plan(struct sim *s, int64_t in_us, world_event *event, void *what, int64_t number);
/* The next event; false where there is none, or a check has failed. */
bool world_step(struct sim *s);
int64_t world_now(const struct sim *s);

/* A server is down: it comes again after a while. */
void sim_server_died(struct sim *s, struct sim_server *v);

/* Whether there is a transcript. */
static inline bool world_says(const struct sim *s)
{
    return s->o.trace || s->o.hashed;
}
/* A line of it. */
void world_say(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A check has failed: the history ends. The first one counts. */
void world_fail(struct sim *s, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
