/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_local: the worker within a server, which carries the tasks of runs.
 *
 * It asks what serve/local.c asks, through the batcher as that does; the processes are simulated.
 * It dies with its server, and with it all that it had started: the next life of the server has the
 * proof of that, and takes back what it held.
 */
#ifndef SIM_SIM_LOCAL_H
#define SIM_SIM_LOCAL_H

#include "sim/sim_server.h"

struct sim_local;

struct sim_local *sim_local_new(struct sim *s, struct sim_server *v, int number);
/* The server is up. */
void sim_local_start(struct sim_local *r);
/* It is dead: what is answered now is heard by nobody. */
void sim_local_die(struct sim_local *r);

#endif
