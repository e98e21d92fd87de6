/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_cluster: the world with its servers and its checks, as sim.c runs it and scripts do.
 */
#ifndef SIM_SIM_CLUSTER_H
#define SIM_SIM_CLUSTER_H

#include "sim/check.h"
#include "sim/sim_server.h"

/* What is calm must come to rest within this time. */
#define SIM_REST_US (3600 * CLOCK_S)

struct sim_cluster {
    struct sim sim;
    struct check *check;
    uint64_t checked; /* the step of the last look at the store */
};

/* The servers are started. */
struct sim_cluster *sim_cluster_new(const struct sim_options *o, struct sim_result *result);
void sim_cluster_free(struct sim_cluster *c);
/* Make the queues, by the first client. */
void sim_cluster_settle(struct sim *s);
/* Look at the store, every few steps. */
void sim_cluster_look(struct sim_cluster *c);
void sim_cluster_clock(struct sim *s, int64_t by_us);

#endif
