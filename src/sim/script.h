/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: a world that does only what a test asks for.
 *
 *     const struct sim_worker_options one = {.slots = 1, .ttl_us = 10 * CLOCK_S};
 *     struct script t;
 *
 *     script_begin(&t, 2);                // servers
 *     w = script_worker(&t, &one);
 *     script_enqueue(&t, 3);              // tasks of the queue q1
 *     script_run(&t, 5 * CLOCK_S);        // simulated, with all checks
 *     sim_worker_sleep(w, 60 * CLOCK_S);  // sim_actors.h
 *     sim_server_kill(t.sim->servers[0]); // sim_server.h
 *     assert_true(script_rest(&t));       // until all tasks have ended
 *     script_look(&t);                    // and t.result.check is NULL: all held
 *     script_end(&t);
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "sim/sim_actors.h"
#include "sim/sim_planner.h"
#include "sim/sim_runner.h"
#include "sim/sim_server.h"

struct script {
    struct sim *sim;
    struct sim_result result;
};

void script_begin(struct script *t, int servers);
/* It is started. */
struct sim_worker *script_worker(struct script *t, const struct sim_worker_options *o);
/* Tasks of the queue q1 with three attempts, by a client whom nothing stops. */
void script_enqueue(struct script *t, size_t n);
/* Likewise, with these properties. */
void script_enqueue_tasks(struct script *t, const struct ask_task *tasks, size_t n);
/* It is started. */
struct sim_runner *script_runner(struct script *t, const struct sim_runner_options *o);
/* A plan of these stages, which is sealed at once. */
void script_plan(struct script *t, const struct ask_stage *stages, size_t n);
/* Let so much time pass. */
void script_run(struct script *t, int64_t us);
/* Set the wall clock. */
void script_clock(struct script *t, int64_t by_us);
/* Until all tasks and plans have ended: true; or an hour has passed, or a check has failed. */
bool script_rest(struct script *t);
/* How many tasks of q1 are in that state. */
int64_t script_count(const struct script *t, enum task_state state);
/* Look at the store, with all of its tasks. */
void script_look(struct script *t);
/* The end; the result goes with it. */
void script_end(struct script *t);

#endif
