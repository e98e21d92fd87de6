/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_wire: the calls of a server to runners, as net/caller makes them in the daemon.
 *
 *     (started) --refused, cut off--> over, nothing was sent
 *         |sent --net--> at the runner --answers, net--> over
 *         +--its deadline, cancelled, broken off, the runner dies--> over, and it may be done
 *
 * A connection that is cut while a call is on it is silent until the call's deadline.
 */
#ifndef SIM_SIM_WIRE_H
#define SIM_SIM_WIRE_H

#include "serve/dispatch.h"
#include "sim/world.h"

struct sim_wire;
struct sim_server;

/* A call on its way; it lives as long as the world. */
struct sim_call {
    struct sim_wire *wire;
    struct sim_runner *runner;
    struct caller_call *call; /* NULL: it is over for its server */
    const char *path;
    struct str message;
    int64_t deadline_us, number;
    bool sent;
    struct list link;
};

struct sim_wire *sim_wire_new(struct sim *s, struct sim_server *v, int number);
struct dispatch_wire sim_wire_of(struct sim_wire *w);
/* Every call ends as cancelled. False: there was none. */
bool sim_wire_end(struct sim_wire *w);

/* The runner answers, with a status of gRPC. Later answers are not heard. */
void sim_wire_answer(struct sim_call *c, int status, struct str reply);
/* The process of a runner has died, and its connections with it. */
void sim_wire_died(struct sim *s, const struct sim_runner *r);

#endif
