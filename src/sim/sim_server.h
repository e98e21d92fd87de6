/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_server: a daemon of the simulated cluster, with the parts of the real one.
 *
 *     UP --dies, at any point--> DOWN --after a while--> UP, with nothing but the store
 *
 * Its calls, hub, duties, batcher and store connection are the daemon's, on a loop that the world
 * turns. When it dies its store connection fails whatever it is asked from then on, the parts are
 * ended in their usual way, and nothing that they say reaches anybody.
 */
#ifndef SIM_SIM_SERVER_H
#define SIM_SIM_SERVER_H

#include "serve/batcher.h"
#include "sim/ask.h"
#include "sim/sim_wire.h"

struct sim_server *sim_server_new(struct sim *s, int number);
struct sim_server *sim_server_free(struct sim_server *v);

void sim_server_start(struct sim_server *v);
void sim_server_kill(struct sim_server *v);
bool sim_server_up(const struct sim_server *v);

/* A request comes from the network. */
void sim_server_take(struct sim_server *v, struct ask *a);
/* A request of the server's own; its answer comes on the loop. */
void sim_server_post(struct sim_server *v, struct batcher_request *q);
/* Something was called that is to be turned. */
void sim_server_moved(struct sim_server *v);
/* Its calls to runners. */
struct sim_wire *sim_server_wire(const struct sim_server *v);
/* Whoever asked has gone. */
void sim_server_cancel(struct sim_server *v, const struct ask *a);

#endif
