/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/model.h"
#include "sim/sim_actors.h"
#include "sim/sim_cluster.h"
#include "sim/sim_planner.h"
#include "sim/sim_runner.h"

/* Steps between two looks at the store. */
#define CHECK_STEPS 256

/* What happens to the machines. */

static void server_starts(struct sim *s, void *what, int64_t number)
{
    (void)s;
    (void)number;
    if (!sim_server_up(what))
        sim_server_start(what);
}

void sim_server_died(struct sim *s, struct sim_server *v)
{
    if (!s->o.scripted)
        world_plan(s, stream_between(s, &s->nemesis, CLOCK_MS, 10 * CLOCK_S), server_starts, v, 0);
}

static void heal(struct sim *s, void *what, int64_t server)
{
    size_t place = (size_t)((bool(*)[SIM_SERVERS_MAX])what - s->cut);

    world_say(s, "net: %zu and s%" PRId64 " reach each other again", place, server + 1);
    s->cut[place][server] = false;
}

static void cut(struct sim *s)
{
    size_t workers = s->workers_n, clients = s->clients_n, n = workers + clients + s->runners_n;
    size_t i = (size_t)stream_below(s, &s->nemesis, (int64_t)n);
    size_t place = i < workers             ? i
                   : i < workers + clients ? SIM_WORKERS_MAX + i - workers
                                           : WORLD_RUNNERS_FROM + i - workers - clients;
    int64_t server = stream_below(s, &s->nemesis, s->o.profile.servers);

    if (s->cut[place][server])
        return;
    world_say(s, "net: %zu and s%" PRId64 " do not reach each other", place, server + 1);
    s->cut[place][server] = true;
    world_plan(s, stream_between(s, &s->nemesis, CLOCK_S, 40 * CLOCK_S), heal, s->cut[place],
               server);
}

void sim_cluster_clock(struct sim *s, int64_t by_us)
{
    world_say(s, "the wall clock is set by %.3f s", (double)by_us / CLOCK_S);
    s->clock.utc += by_us;
}

static void nemesis(struct sim *s, void *what, int64_t number)
{
    struct stream *chance = &s->nemesis;

    (void)what;
    (void)number;
    if (s->calm)
        return;
    if (stream_fault(s, chance, SIM_SERVER_KILL))
        sim_server_kill(s->servers[stream_below(s, chance, s->o.profile.servers)]);
    if (stream_fault(s, chance, SIM_NET_CUT))
        cut(s);
    if (stream_fault(s, chance, SIM_CLOCK_FORWARD))
        sim_cluster_clock(s, stream_between(s, chance, 1, 2 * 3600 * CLOCK_S));
    if (stream_fault(s, chance, SIM_CLOCK_BACK))
        sim_cluster_clock(s, -stream_between(s, chance, 1, 2 * 3600 * CLOCK_S));
    world_plan(s, stream_between(s, chance, 100 * CLOCK_MS, CLOCK_S), nemesis, NULL, 0);
}

/* A pause that was asked for in the storm may still come. */
static void resume(struct sim *s, void *what, int64_t number)
{
    (void)what;
    (void)number;
    for (uint64_t i = 0; i < (uint64_t)s->o.profile.queues; i++)
        sim_client_do(s->clients[0], ASK_RESUME, sim_client_queue(s, i), 0);
    world_plan(s, 60 * CLOCK_S, resume, NULL, 0);
}

/* The storm is over: what was stopped goes on. */
static void calm(struct sim *s, void *what, int64_t number)
{
    (void)what;
    (void)number;
    world_say(s, "calm");
    s->calm = true;
    memset(s->cut, 0, sizeof(s->cut));
    for (int i = 0; i < s->o.profile.servers; i++)
        if (!sim_server_up(s->servers[i]))
            sim_server_start(s->servers[i]);
    for (size_t i = 0; i < s->workers_n; i++)
        sim_worker_start(s->workers[i]);
    for (size_t i = 0; i < s->runners_n; i++)
        sim_runner_start(s->runners[i]);
    resume(s, NULL, 0);
}

/* Life. */

void sim_cluster_settle(struct sim *s)
{
    static const struct ask_queue settings[SIM_QUEUES_MAX] = {
        {0                   },
        {.concurrency = 3,     .rate_milli = 1500, .burst = 4},
        {.key_concurrency = 1         },
        {.fair = true},
    };

    for (uint64_t i = 0; i < (uint64_t)s->o.profile.queues; i++)
        sim_client_put_queue(s->clients[0], sim_client_queue(s, i), &settings[i]);
    if (s->o.profile.runs)
        sim_client_put_workflow(s->clients[0]);
}

struct sim_cluster *sim_cluster_new(const struct sim_options *o, struct sim_result *result)
{
    struct sim_cluster *c = memory_new(sizeof(*c));
    struct sim *s = &c->sim;

    *result = (struct sim_result){0};
    world_init(s, o, result);
    s->store = STR("sqlite::memory:sim"); /* there is one world at a time */
    s->model = model_new(s);
    c->check = check_new(s);
    for (int i = 0; i < o->profile.servers; i++)
        s->servers[i] = sim_server_new(s, i);
    for (int i = 0; i < o->profile.servers; i++)
        sim_server_start(s->servers[i]);
    return c;
}

void sim_cluster_free(struct sim_cluster *c)
{
    struct sim *s = &c->sim;

    for (int i = 0; i < s->o.profile.servers; i++)
        sim_server_free(s->servers[i]);
    check_free(c->check);
    model_free(s->model);
    world_deinit(s);
    free(c);
}

/* Of each type one at least does everything. */
static void populate_runners(struct sim *s)
{
    const struct sim_profile *p = &s->o.profile;

    for (int i = 0; i < p->runners; i++) {
        struct sim_runner_options o = {.type = i % 2 ? "test" : "build"};

        o.zone = i < 2 ? "a" : NULL;
        o.sync = i < 2 || i % 4 < 2;
        o.async = i < 2 || i % 4 >= 2;
        o.slots = stream_between(s, &s->nemesis, 1, 4);
        o.ttl_us = stream_between(s, &s->nemesis, 5, 30) * CLOCK_S;
        sim_runner_start(sim_runner_new(s, &o));
    }
    for (size_t i = 0; p->plans && i < s->clients_n; i++)
        sim_planner_start(sim_planner_new(s, i));
}

static void populate(struct sim *s)
{
    const struct sim_profile *p = &s->o.profile;

    for (int i = 0; i < p->clients; i++)
        sim_client_new(s);
    sim_cluster_settle(s);
    for (int i = 0; i < p->workers; i++) {
        struct sim_worker_options o = {.guest = i % 2};

        o.slots = stream_between(s, &s->nemesis, 1, 6);
        o.ttl_us = stream_between(s, &s->nemesis, 5, 30) * CLOCK_S;
        sim_worker_start(sim_worker_new(s, &o));
    }
    for (size_t i = 0; i < s->clients_n; i++)
        sim_client_start(s->clients[i]);
    populate_runners(s);
    nemesis(s, NULL, 0);
    world_plan(s, p->storm_us, calm, NULL, 0);
}

void sim_cluster_look(struct sim_cluster *c)
{
    if (c->sim.steps - c->checked < CHECK_STEPS)
        return;
    c->checked = c->sim.steps;
    check_store(&c->sim, c->check, false);
}

static bool rests(const struct sim *s)
{
    return s->calm && model_open(s->model) == 0 && model_runs_open(s->model) == 0 &&
           model_plans_open(s->model) == 0;
}

static void check_rest(struct sim *s)
{
    char room[200];
    struct buf b;

    buf_fixed(&b, room, sizeof(room));
    model_describe_open(s->model, &b);
    world_fail(s, "rest",
               "an hour of calm has passed, and %zu tasks and %zu plans have not ended: %.*s",
               model_open(s->model), model_plans_open(s->model), (int)b.n, room);
}

void sim_run(const struct sim_options *o, struct sim_result *ret)
{
    struct sim_cluster *c = sim_cluster_new(o, ret);
    struct sim *s = &c->sim;
    bool cut_short = false;

    populate(s);
    while (!rests(s) && !cut_short && world_step(s)) {
        sim_cluster_look(c);
        if (s->calm && world_now(s) > s->calm_at + SIM_REST_US)
            check_rest(s);
        cut_short = o->steps_max && s->steps >= o->steps_max;
    }
    if (!ret->check)
        check_store(s, c->check, true);
    sim_cluster_free(c);
}

void sim_result_clear(struct sim_result *r)
{
    free(r->faults);
    *r = (struct sim_result){0};
}
