/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/script.h"

#include <stdlib.h>

#include "sim/model.h"
#include "sim/sim_cluster.h"

void script_begin(struct script *t, int servers)
{
    const struct sim_options o = {
        .seed = 1,
        .profile = {.name = "script",
                    .servers = servers,
                    .workers = 0,
                    .clients = 1,
                    .queues = 1,
                    .tasks = 0,
                    .storm_us = INT64_MAX / 4},
        .scripted = true,
        .trace = getenv("WEFT_SIM_TRACE") ? stderr : NULL,
    };

    t->sim = &sim_cluster_new(&o, &t->result)->sim;
    sim_client_new(t->sim);
    sim_cluster_settle(t->sim);
    script_run(t, CLOCK_S);
}

struct sim_worker *script_worker(struct script *t, const struct sim_worker_options *o)
{
    struct sim_worker *w = sim_worker_new(t->sim, o);

    sim_worker_start(w);
    return w;
}

struct sim_runner *script_runner(struct script *t, const struct sim_runner_options *o)
{
    struct sim_runner *r = sim_runner_new(t->sim, o);

    sim_runner_start(r);
    return r;
}

void script_plan(struct script *t, const struct ask_stage *stages, size_t n)
{
    struct ask_write *w = ARENA_NEW(&t->sim->memory, struct ask_write);

    w->stages = ARENA_ARRAY(&t->sim->memory, struct ask_stage, n);
    for (size_t i = 0; i < n; i++)
        w->stages[i] = stages[i];
    w->stages_n = n;
    if (!t->sim->planners[0])
        sim_planner_new(t->sim, 0);
    sim_planner_make(t->sim->planners[0], w);
}

void script_enqueue(struct script *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        script_enqueue_tasks(t, &(struct ask_task){.attempts = 3}, 1);
}

void script_enqueue_tasks(struct script *t, const struct ask_task *tasks, size_t n)
{
    sim_client_enqueue(t->sim->clients[0], "q1", tasks, n);
}

void script_run(struct script *t, int64_t us)
{
    struct sim *s = t->sim;
    int64_t until = world_now(s) + us;

    while (s->heap_n && s->heap[0].at <= until && world_step(s))
        sim_cluster_look((struct sim_cluster *)s);
    if (t->result.check)
        return;
    s->clock.utc += until - s->clock.monotonic;
    s->clock.monotonic = until;
}

void script_clock(struct script *t, int64_t by_us)
{
    sim_cluster_clock(t->sim, by_us);
}

static size_t open_n(const struct script *t)
{
    return model_open(t->sim->model) + model_plans_open(t->sim->model);
}

bool script_rest(struct script *t)
{
    int64_t until = world_now(t->sim) + SIM_REST_US;

    while (open_n(t) && !t->result.check && world_now(t->sim) < until) {
        script_run(t, CLOCK_S);
        script_look(t);
    }
    return open_n(t) == 0;
}

int64_t script_count(const struct script *t, enum task_state state)
{
    int64_t counts[TASK_STATE_N];

    model_counts(t->sim->model, STR("q1"), counts);
    return counts[state];
}

void script_look(struct script *t)
{
    if (!t->result.check)
        check_store(t->sim, ((struct sim_cluster *)t->sim)->check, true);
}

void script_end(struct script *t)
{
    sim_cluster_free((struct sim_cluster *)t->sim);
    sim_result_clear(&t->result);
}
