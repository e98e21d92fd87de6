/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_actors: the workers and clients of the simulated cluster.
 *
 * A worker claims, works, keeps its leases alive and completes, as the SDKs do, and misbehaves as
 * the profile says: it dies and comes again under its name, stands still and wakes past its leases,
 * works too long, lies, completes twice. A client enqueues, cancels, pauses, gives back.
 *
 *     worker:  OFF --start--> REGISTERING --> UP --dies--> OFF       (a guest is UP at once)
 *                                             UP --is lost--> REGISTERING
 */
#ifndef SIM_SIM_ACTORS_H
#define SIM_SIM_ACTORS_H

#include "sim/ask.h"

#define WORKER_JOBS_MAX 8

struct sim_worker_options {
    bool guest;
    int64_t slots, ttl_us;
    int64_t work_us; /* of an attempt; 0: drawn */
};

struct sim_worker *sim_worker_new(struct sim *s, const struct sim_worker_options *o);
void sim_worker_start(struct sim_worker *w);
void sim_worker_crash(struct sim_worker *w);
void sim_worker_sleep(struct sim_worker *w, int64_t us);
/* 0: it has none. */
int64_t sim_worker_incarnation(const struct sim_worker *w);
bool sim_worker_up(const struct sim_worker *w);
/* What it has in hand, as it believes. */
size_t sim_worker_jobs(const struct sim_worker *w);
/* How many completions were acknowledged, and how many refused as of a lease that is lost. */
size_t sim_worker_done(const struct sim_worker *w);
size_t sim_worker_refused(const struct sim_worker *w);

struct sim_client *sim_client_new(struct sim *s);
/* It begins to enqueue and to do what operators do, until the calm. */
void sim_client_start(struct sim_client *c);
void sim_client_enqueue(struct sim_client *c, const char *queue, const struct ask_task *tasks,
                        size_t n);
void sim_client_put_queue(struct sim_client *c, const char *queue, const struct ask_queue *put);
/* The workflow of model.h. */
void sim_client_put_workflow(struct sim_client *c);
/* One of the others, of a queue, or of a task or run by its id. */
void sim_client_do(struct sim_client *c, enum ask_kind kind, const char *queue, int64_t id);

/* The queues of the world are named q1, q2, … */
const char *sim_client_queue(const struct sim *s, uint64_t number);

#endif
