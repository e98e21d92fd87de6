/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_runner: a program that stages are pushed to.
 *
 * It registers, keeps itself alive, takes what it is called for or refuses it, works, reports
 * progress and the end, as the runner libraries do, and misbehaves as the profile says.
 *
 *     OFF --start--> REGISTERING --> UP --dies--> OFF
 *                        ^            | is lost
 *                        +------------+
 */
#ifndef SIM_SIM_RUNNER_H
#define SIM_SIM_RUNNER_H

#include "sim/sim_wire.h"

struct sim_runner_options {
    const char *type, *zone; /* zone: its only label; NULL: it has none */
    bool sync, async;        /* what it can do */
    int64_t slots, ttl_us;
    int64_t work_us;       /* of an attempt; 0: drawn */
    enum sim_fault always; /* goes wrong on every occasion; 0: nothing does */
};

struct sim_runner *sim_runner_new(struct sim *s, const struct sim_runner_options *o);
void sim_runner_start(struct sim_runner *r);
void sim_runner_crash(struct sim_runner *r);
void sim_runner_sleep(struct sim_runner *r, int64_t us);
/* 0: it has none. */
int64_t sim_runner_incarnation(const struct sim_runner *r);
/* What it has in hand, as it believes; what it ended, and what it began. */
size_t sim_runner_jobs(const struct sim_runner *r);
size_t sim_runner_done(const struct sim_runner *r);
size_t sim_runner_begun(const struct sim_runner *r);

/* As servers see it: who has this address (NULL: nobody), whether its process listens there, and a
 * call that has come. */
struct sim_runner *sim_runner_at(const struct sim *s, struct str address);
bool sim_runner_runs(const struct sim_runner *r);
void sim_runner_take(struct sim_runner *r, struct sim_call *c);
const char *sim_runner_name(const struct sim_runner *r);
size_t sim_runner_place(const struct sim_runner *r);

#endif
