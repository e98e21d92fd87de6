/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/model.h"
#include "sim/sim_actors.h"

#define ENQUEUE_MAX 10

struct sim_client {
    struct sim *sim;
    const char *name;
    size_t place;
    struct stream chance;
    int tasks_left, runs_left;
};

const char *sim_client_queue(const struct sim *s, uint64_t number)
{
    static const char *const names[SIM_QUEUES_MAX] = {"q1", "q2", "q3", "q4"};

    return names[number % (uint64_t)s->o.profile.queues];
}

static void hear(struct ask *a, const struct answer *answer)
{
    struct sim_client *c = a->context;

    /* Once more, with another key or none: another request. */
    if (answer->code == CODE_OK && a->kind != ASK_ENQUEUE &&
        stream_fault(c->sim, &c->chance, SIM_CLIENT_TWICE))
        sim_client_do(c, a->kind, a->queue, a->id);
}

static struct ask *ask(struct sim_client *c, enum ask_kind kind)
{
    struct ask *a = ask_new(c->sim, kind);

    a->who = c->name;
    a->place = c->place;
    a->chance = &c->chance;
    a->answered = hear;
    a->context = c;
    return a;
}

void sim_client_enqueue(struct sim_client *c, const char *queue, const struct ask_task *tasks,
                        size_t n)
{
    struct ask *a = ask(c, ASK_ENQUEUE);

    a->queue = queue;
    a->tasks = ARENA_ARRAY(&c->sim->memory, struct ask_task, n);
    for (size_t i = 0; i < n; i++)
        a->tasks[i] = tasks[i];
    a->tasks_n = n;
    a->keyed = stream_chance(c->sim, &c->chance, 800000);
    ask_send(a);
}

void sim_client_put_queue(struct sim_client *c, const char *queue, const struct ask_queue *put)
{
    struct ask *a = ask(c, ASK_PUT_QUEUE);

    a->queue = queue;
    a->put = *put;
    a->ttl_us = 30 * CLOCK_S;
    a->tries_max = 1000;
    ask_send(a);
}

void sim_client_do(struct sim_client *c, enum ask_kind kind, const char *queue, int64_t id)
{
    struct ask *a = ask(c, kind);

    a->queue = queue;
    a->id = id;
    a->tries_max = c->sim->calm ? 1000 : a->tries_max;
    ask_send(a);
}

/* What it enqueues. */

static struct ask_task draw_task(struct sim_client *c)
{
    static const char *const keys[] = {"a", "b", "c"};
    struct sim *s = c->sim;
    struct ask_task t = {.priority = stream_between(s, &c->chance, 0, 2)};

    t.attempts = stream_between(s, &c->chance, 1, 5);
    t.backoff_us = stream_between(s, &c->chance, 0, 3) * CLOCK_S;
    if (stream_chance(s, &c->chance, 150000))
        t.delay_us = stream_between(s, &c->chance, CLOCK_MS, 30 * CLOCK_S);
    if (stream_chance(s, &c->chance, 200000))
        t.timeout_us = stream_between(s, &c->chance, CLOCK_S, 30 * CLOCK_S);
    if (stream_chance(s, &c->chance, 300000))
        t.key = keys[stream_below(s, &c->chance, 3)];
    if (stream_chance(s, &c->chance, 100000))
        t.unique = keys[stream_below(s, &c->chance, 3)];
    return t;
}

/* Of different kinds, or alike and plain, as those that travel in blocks. */
static void enqueue_some(struct sim_client *c)
{
    struct ask_task tasks[ENQUEUE_MAX];
    bool alike = stream_chance(c->sim, &c->chance, 300000);
    size_t n = (size_t)stream_between(c->sim, &c->chance, alike ? 4 : 1, alike ? ENQUEUE_MAX : 4);
    struct ask_task plain = {.priority = stream_between(c->sim, &c->chance, 0, 2), .attempts = 3};

    plain.backoff_us = stream_between(c->sim, &c->chance, 0, 1) * CLOCK_S;
    for (size_t i = 0; i < n; i++)
        tasks[i] = alike ? plain : draw_task(c);
    sim_client_enqueue(c, sim_client_queue(c->sim, stream_draw(c->sim, &c->chance)), tasks, n);
    c->tasks_left -= (int)n;
}

static void drain_one(struct sim_client *c)
{
    struct sim *s = c->sim;
    size_t i = (size_t)stream_below(s, &c->chance, (int64_t)s->workers_n);
    int64_t incarnation = sim_worker_incarnation(s->workers[i]);

    if (incarnation)
        sim_client_do(c, ASK_DRAIN, NULL, incarnation);
}

/* Other settings of a queue, while its tasks wait and run. */
static void settle_otherwise(struct sim_client *c, const char *queue)
{
    struct sim *s = c->sim;
    struct ask_queue put = {.key_concurrency = stream_between(s, &c->chance, 0, 2)};

    put.fair = stream_chance(s, &c->chance, 500000);
    if (stream_chance(s, &c->chance, 300000))
        put.concurrency = stream_between(s, &c->chance, 2, 5);
    if (stream_chance(s, &c->chance, 300000))
        put.rate_milli = stream_between(s, &c->chance, 300, 3000);
    if (put.rate_milli)
        put.burst = stream_between(s, &c->chance, 0, 4);
    sim_client_put_queue(c, queue, &put);
}

/* What operators do. */
static void operate(struct sim_client *c)
{
    struct sim *s = c->sim;
    const char *queue = sim_client_queue(s, stream_draw(s, &c->chance));
    int64_t task = model_task(s->model, stream_draw(s, &c->chance));

    if (stream_chance(s, &c->chance, 100000)) {
        drain_one(c);
        return;
    }
    switch (stream_below(s, &c->chance, 9)) {
    case 0:
        sim_client_do(c, ASK_PAUSE, queue, 0);
        break;
    case 1:
    case 2:
        sim_client_do(c, ASK_RESUME, queue, 0);
        break;
    case 3:
        sim_client_do(c, ASK_REQUEUE, queue, 0);
        break;
    case 4:
        settle_otherwise(c, queue);
        break;
    default:
        if (task)
            sim_client_do(c, ASK_CANCEL, NULL, task);
        break;
    }
}

static void run_one(struct sim_client *c)
{
    struct ask *a = ask(c, ASK_RUN);

    a->name = "graph";
    a->keyed = true;
    ask_send(a);
    c->runs_left--;
}

/* Runs are cancelled and retried. */
static void operate_runs(struct sim_client *c)
{
    struct sim *s = c->sim;
    int64_t run = model_run(s->model, stream_draw(s, &c->chance));

    if (run)
        sim_client_do(c, stream_chance(s, &c->chance, 500000) ? ASK_RUN_CANCEL : ASK_RUN_RETRY,
                      NULL, run);
}

static void goes_on(struct sim *s, void *what, int64_t number)
{
    struct sim_client *c = what;
    int64_t pause_us = s->o.profile.storm_us / (s->o.profile.tasks / s->o.profile.clients + 1);

    (void)number;
    if (s->calm)
        return;
    if (c->tasks_left > 0)
        enqueue_some(c);
    if (stream_chance(s, &c->chance, 400000))
        operate(c);
    if (c->runs_left > 0 && stream_chance(s, &c->chance, 200000))
        run_one(c);
    if (stream_chance(s, &c->chance, 200000))
        operate_runs(c);
    world_plan(s, stream_between(s, &c->chance, 1, 4 * pause_us), goes_on, c, 0);
}

void sim_client_start(struct sim_client *c)
{
    c->tasks_left = c->sim->o.profile.tasks / c->sim->o.profile.clients;
    c->runs_left =
        (c->sim->o.profile.runs + c->sim->o.profile.clients - 1) / c->sim->o.profile.clients;
    goes_on(c->sim, c, 0);
}

void sim_client_put_workflow(struct sim_client *c)
{
    struct ask *a = ask(c, ASK_WORKFLOW);

    a->source = model_workflow;
    a->tries_max = 1000;
    ask_send(a);
}

struct sim_client *sim_client_new(struct sim *s)
{
    struct sim_client *c = ARENA_NEW(&s->memory, struct sim_client);

    c->sim = s;
    c->place = SIM_WORKERS_MAX + s->clients_n;
    c->chance.whose = STREAM_CLIENT + (uint32_t)s->clients_n;
    c->name = str_printf(&s->memory, "c%zu", s->clients_n + 1).p;
    s->clients[s->clients_n++] = c;
    return c;
}
