/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "sim/sim.h"

#define WORLD .servers = 2, .workers = 4, .clients = 2, .queues = 4, .tasks = 60, .runs = 4

const struct sim_profile sim_profiles[] = {
    {.name = "storm",
     .help = "everything goes wrong now and then",
     WORLD, .storm_us = 120 * CLOCK_S,
     .per_million =
         {
             [SIM_NET_DELAY] = 20000,
             [SIM_NET_LOSS] = 20000,
             [SIM_NET_TWICE] = 20000,
             [SIM_NET_CUT] = 30000,
             [SIM_COMMIT_FAILS] = 10000,
             [SIM_COMMIT_DOUBT_DONE] = 6000,
             [SIM_COMMIT_DOUBT_UNDONE] = 6000,
             [SIM_STORE_FULL] = 2000,
             [SIM_STORE_DISK] = 5000,
             [SIM_STORE_LOCKED] = 2000,
             [SIM_STORE_DEADLOCK] = 10000,
             [SIM_STORE_SLOW] = 5000,
             [SIM_SERVER_KILL] = 10000,
             [SIM_SERVER_KILL_COMMITTED] = 3000,
             [SIM_SERVER_KILL_UNCOMMITTED] = 3000,
             [SIM_CLOCK_FORWARD] = 5000,
             [SIM_CLOCK_BACK] = 5000,
             [SIM_WORKER_CRASH] = 20000,
             [SIM_WORKER_SLEEP] = 30000,
             [SIM_WORKER_SLOW] = 50000,
             [SIM_WORKER_FAILS] = 100000,
             [SIM_WORKER_LIES] = 30000,
             [SIM_WORKER_TWICE] = 100000,
             [SIM_WORKER_DIFFERS] = 50000,
             [SIM_WORKER_RELEASES] = 50000,
             [SIM_WORKER_LEAVES] = 10000,
             [SIM_CLIENT_TWICE] = 50000,
             [SIM_CLIENT_LEAVES] = 30000,
         }},
    {.name = "calm",                                                  .help = "nothing goes wrong", WORLD, .storm_us = 60 * CLOCK_S},
    {.name = "network",
     .help = "messages are lost, late, doubled and cut off",
     WORLD, .storm_us = 120 * CLOCK_S,
     .per_million = {[SIM_NET_DELAY] = 100000,
                     [SIM_NET_LOSS] = 100000,
                     [SIM_NET_TWICE] = 100000,
                     [SIM_NET_CUT] = 100000,
                     [SIM_CLIENT_LEAVES] = 100000,
                     [SIM_WORKER_FAILS] = 50000}},
    {.name = "store",
     .help = "the store fails in every way that it has, and servers die",
     WORLD, .storm_us = 120 * CLOCK_S,
     .per_million = {[SIM_COMMIT_FAILS] = 30000,
                     [SIM_COMMIT_DOUBT_DONE] = 30000,
                     [SIM_COMMIT_DOUBT_UNDONE] = 30000,
                     [SIM_STORE_FULL] = 10000,
                     [SIM_STORE_DISK] = 30000,
                     [SIM_STORE_LOCKED] = 10000,
                     [SIM_STORE_DEADLOCK] = 50000,
                     [SIM_STORE_SLOW] = 20000,
                     [SIM_SERVER_KILL] = 20000,
                     [SIM_SERVER_KILL_COMMITTED] = 10000,
                     [SIM_SERVER_KILL_UNCOMMITTED] = 10000,
                     [SIM_WORKER_FAILS] = 50000}},
    {.name = "workers",
     .help = "workers die, stand still, lie and say things twice",
     WORLD, .storm_us = 120 * CLOCK_S,
     .per_million = {[SIM_WORKER_CRASH] = 50000,
                     [SIM_WORKER_SLEEP] = 80000,
                     [SIM_WORKER_SLOW] = 100000,
                     [SIM_WORKER_FAILS] = 150000,
                     [SIM_WORKER_LIES] = 80000,
                     [SIM_WORKER_TWICE] = 200000,
                     [SIM_WORKER_DIFFERS] = 100000,
                     [SIM_WORKER_RELEASES] = 100000,
                     [SIM_WORKER_LEAVES] = 30000}},
    {.name = "slow-clock",
     .help = "the wall clock is set forward and back, and workers stand still",
     WORLD, .storm_us = 180 * CLOCK_S,
     .per_million = {[SIM_CLOCK_FORWARD] = 40000,
                     [SIM_CLOCK_BACK] = 40000,
                     [SIM_WORKER_SLEEP] = 50000,
                     [SIM_WORKER_FAILS] = 50000,
                     [SIM_SERVER_KILL] = 10000}},
    {0},
};

const struct sim_profile *sim_profile(const char *name)
{
    for (const struct sim_profile *p = sim_profiles; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}
