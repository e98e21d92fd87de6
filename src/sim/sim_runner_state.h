/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_runner_state: what the files of simulated runners have in common.
 */
#ifndef SIM_SIM_RUNNER_STATE_H
#define SIM_SIM_RUNNER_STATE_H

#include "sim/ask.h"
#include "sim/sim_runner.h"

#define RUNNER_JOBS_MAX 16

enum runner_life { RUNNER_OFF, RUNNER_REGISTERING, RUNNER_UP };

/* A stage that it took. */
struct runner_job {
    struct lease_ref lease; /* token 0: free */
    int64_t run;
    struct sim_call *call; /* of a sync one: to be answered; NULL: it is async */
    const char *check;     /* that it answers; NULL: none */
    int64_t deadline_us;   /* of the call */
    int64_t progress_us;   /* promised; 0: not */
    bool ending;           /* its end is on the way */
    bool stop;             /* it is to be cancelled */
    bool worked;           /* in this life of the process */
    bool silent;           /* it tells no progress */
};

struct sim_runner {
    struct sim *sim;
    struct sim_runner_options o;
    const char *name;
    struct str address;
    size_t place;
    struct stream chance;
    enum runner_life state;
    int64_t life; /* of its process */
    int64_t incarnation;
    int64_t asleep_until;
    int64_t beat_at; /* the next; an event of another time is an old one */
    struct runner_job jobs[RUNNER_JOBS_MAX];
    size_t begun, done;
};

bool sim_runner_fault(struct sim_runner *r, enum sim_fault f);
bool sim_runner_asleep(const struct sim_runner *r);
struct ask *sim_runner_ask(struct sim_runner *r, enum ask_kind kind);
struct runner_job *sim_runner_job(struct sim_runner *r, int64_t token);

/* sim_runner_job.c */

/* It works on what it took, for the first time in this life of its process. */
void sim_runner_work(struct sim_runner *r, struct runner_job *j);
/* It hears that a job is to be cancelled. */
void sim_runner_stop(struct sim_runner *r, int64_t token);
void sim_runner_hear_end(struct sim_runner *r, const struct ask *a, const struct answer *answer);
void sim_runner_hear_renew(struct sim_runner *r, const struct ask *a, const struct answer *answer);

#endif
