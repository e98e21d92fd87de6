/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_runner: the worker within a server, which carries the tasks of runs.
 *
 * It asks what serve/local.c asks, through the batcher as that does; the processes are simulated.
 * It dies with its server, and with it all that it had started: the next life of the server has the
 * proof of that, and takes back what it held.
 */
#ifndef SIM_SIM_RUNNER_H
#define SIM_SIM_RUNNER_H

#include "sim/sim_server.h"

struct sim_runner;

struct sim_runner *sim_runner_new(struct sim *s, struct sim_server *v, int number);
/* The server is up. */
void sim_runner_start(struct sim_runner *r);
/* It is dead: what is answered now is heard by nobody. */
void sim_runner_die(struct sim_runner *r);

#endif
