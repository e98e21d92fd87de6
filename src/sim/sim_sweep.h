/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_sweep: histories of many seeds on several cores, and what `weft sim` does.
 */
#ifndef SIM_SIM_SWEEP_H
#define SIM_SIM_SWEEP_H

#include "client/simulator.h"

#define SIM_SWEEP_JOBS_MAX 256

/* A sweep of so many histories has to meet every row and every fault. */
#define SIM_SWEEP_LONG 2000

/* As simulate() in client/simulator.h. */
int sim_sweep(const struct simulator_flags *flags, json_t **ret_report,
              struct client_problem *ret_problem);

#endif
