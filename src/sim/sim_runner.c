/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_runner.h"

#include <inttypes.h>
#include <string.h>

#include "sim/sim_runner_state.h"

bool sim_runner_asleep(const struct sim_runner *r)
{
    return world_now(r->sim) < r->asleep_until;
}

bool sim_runner_fault(struct sim_runner *r, enum sim_fault f)
{
    if (r->o.always == f && f)
        return true;
    return stream_fault(r->sim, &r->chance, f);
}

static void plan(struct sim_runner *r, int64_t in_us, world_event *event)
{
    world_plan(r->sim, in_us, event, r, r->life);
}

/* ---- asking ---- */

static void hear(struct ask *a, const struct answer *answer);

struct ask *sim_runner_ask(struct sim_runner *r, enum ask_kind kind)
{
    struct ask *a = ask_new(r->sim, kind);

    a->who = r->name;
    a->place = r->place;
    a->chance = &r->chance;
    a->answered = hear;
    a->context = r;
    a->life = r->life;
    return a;
}

struct runner_job *sim_runner_job(struct sim_runner *r, int64_t token)
{
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        if (r->jobs[i].lease.token == token)
            return &r->jobs[i];
    return NULL;
}

size_t sim_runner_jobs(const struct sim_runner *r)
{
    size_t n = 0;

    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        n += r->jobs[i].lease.token != 0;
    return n;
}

/* Those of sync calls die with their connections. */
static void drop_jobs(struct sim_runner *r, bool all)
{
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++) {
        if (all || r->jobs[i].call)
            r->jobs[i] = (struct runner_job){0};
        r->jobs[i].worked = r->jobs[i].ending = false;
    }
}

/* ---- being there ---- */

static void beat_next(struct sim *s, void *what, int64_t life);

static void beat_in(struct sim_runner *r, int64_t in_us)
{
    r->beat_at = world_now(r->sim) + in_us;
    plan(r, in_us, beat_next);
}

/* Sync calls are the server's to keep, async ones are named. */
static void name_leases(struct sim_runner *r, struct ask *a)
{
    a->leases = ARENA_ARRAY(&r->sim->memory, struct lease_ref, RUNNER_JOBS_MAX);
    for (size_t i = 0; i < RUNNER_JOBS_MAX; i++)
        if (r->jobs[i].lease.token)
            a->leases[a->leases_n++] = r->jobs[i].lease;
}

static void enroll(struct sim_runner *r)
{
    struct ask *a = sim_runner_ask(r, ASK_REGISTER);

    r->state = RUNNER_REGISTERING;
    r->incarnation = 0;
    a->name = r->name;
    a->slots = r->o.slots;
    a->ttl_us = r->o.ttl_us;
    a->type = r->o.type;
    a->zone = r->o.zone;
    a->address = r->address.p;
    a->sync = r->o.sync;
    a->async = r->o.async;
    name_leases(r, a);
    ask_send(a);
}

static void enroll_again(struct sim *s, void *what, int64_t life)
{
    struct sim_runner *r = what;

    (void)s;
    if (life == r->life && r->state == RUNNER_REGISTERING)
        enroll(r);
}

static void leave(struct sim_runner *r)
{
    struct ask *a = sim_runner_ask(r, ASK_LEAVE);

    a->id = r->incarnation;
    ask_send(a);
    sim_runner_crash(r);
}

/* What it may do wrong once in a while. True: it is gone. */
static bool misbehave(struct sim_runner *r)
{
    if (sim_runner_fault(r, SIM_WORKER_CRASH)) {
        sim_runner_crash(r);
        return true;
    }
    if (sim_runner_fault(r, SIM_WORKER_LEAVES)) {
        leave(r);
        return true;
    }
    if (sim_runner_fault(r, SIM_WORKER_SLEEP))
        sim_runner_sleep(r, stream_between(r->sim, &r->chance, r->o.ttl_us / 4, 3 * r->o.ttl_us));
    return false;
}

static void beat_next(struct sim *s, void *what, int64_t life)
{
    struct sim_runner *r = what;
    struct ask *a;

    if (life != r->life || world_now(s) != r->beat_at)
        return;
    if (sim_runner_asleep(r)) {
        beat_in(r, r->asleep_until - world_now(s));
        return;
    }
    if (r->state != RUNNER_UP || misbehave(r))
        return;
    a = sim_runner_ask(r, ASK_BEAT);
    a->id = r->incarnation;
    a->tries_max = 1;
    a->timeout_us = r->o.ttl_us / 5;
    ask_send(a);
    beat_in(r, r->o.ttl_us / 5);
}

/* ---- answers ---- */

static void hear_register(struct sim_runner *r, const struct answer *answer)
{
    if (answer->code != CODE_OK) {
        plan(r, stream_between(r->sim, &r->chance, CLOCK_S, 10 * CLOCK_S), enroll_again);
        return;
    }
    for (size_t i = 0; i < answer->lost_n; i++) {
        struct runner_job *j = sim_runner_job(r, answer->lost[i].token);

        if (j)
            *j = (struct runner_job){0};
    }
    for (size_t i = 0; i < answer->kept_n; i++) {
        struct runner_job *j = sim_runner_job(r, answer->kept[i].token);

        if (j && !j->worked)
            sim_runner_work(r, j);
    }
    r->incarnation = answer->id;
    r->state = RUNNER_UP;
    beat_in(r, r->o.ttl_us / 5);
}

static void hear_beat(struct sim_runner *r, const struct ask *a, const struct answer *answer)
{
    if (a->id != r->incarnation || r->state != RUNNER_UP)
        return;
    for (size_t i = 0; i < answer->stop_n; i++)
        sim_runner_stop(r, answer->stop[i].token);
    if (answer->code == CODE_WORKER_LOST || answer->code == CODE_WORKER_NOT_FOUND) {
        drop_jobs(r, true);
        enroll(r);
    } else if (answer->draining && sim_runner_jobs(r) == 0) {
        leave(r);
    }
}

/* What comes while it stands still comes when it wakes. */
struct postponed {
    struct ask *ask;
    struct answer answer;
};

static void hear_late(struct sim *s, void *what, int64_t number)
{
    struct postponed *p = what;

    (void)s;
    (void)number;
    hear(p->ask, &p->answer);
}

static void hear(struct ask *a, const struct answer *answer)
{
    struct sim_runner *r = a->context;

    if (a->life != r->life)
        return;
    if (sim_runner_asleep(r)) {
        struct postponed *p = ARENA_NEW(&r->sim->memory, struct postponed);

        *p = (struct postponed){a, *answer};
        world_plan(r->sim, r->asleep_until - world_now(r->sim), hear_late, p, 0);
    } else if (a->kind == ASK_REGISTER) {
        hear_register(r, answer);
    } else if (a->kind == ASK_BEAT) {
        hear_beat(r, a, answer);
    } else if (a->kind == ASK_COMPLETE) {
        sim_runner_hear_end(r, a, answer);
    } else if (a->kind == ASK_RENEW) {
        sim_runner_hear_renew(r, a, answer);
    }
}

/* ---- life ---- */

void sim_runner_start(struct sim_runner *r)
{
    if (r->state != RUNNER_OFF)
        return;
    world_say(r->sim, "%s starts", r->name);
    enroll(r);
}

static void starts(struct sim *s, void *what, int64_t life)
{
    struct sim_runner *r = what;

    (void)s;
    if (life == r->life)
        sim_runner_start(r);
}

/* Some of those that die remember what they had accepted, as from a file. */
void sim_runner_crash(struct sim_runner *r)
{
    world_say(r->sim, "%s dies", r->name);
    r->life++;
    r->state = RUNNER_OFF;
    r->incarnation = 0;
    r->asleep_until = 0;
    sim_wire_died(r->sim, r);
    drop_jobs(r, stream_chance(r->sim, &r->chance, 500000));
    if (!r->sim->o.scripted)
        plan(r, stream_between(r->sim, &r->chance, CLOCK_MS, 20 * CLOCK_S), starts);
}

void sim_runner_sleep(struct sim_runner *r, int64_t us)
{
    world_say(r->sim, "%s stands still for %.3f s", r->name, (double)us / CLOCK_S);
    r->asleep_until = world_now(r->sim) + us;
}

int64_t sim_runner_incarnation(const struct sim_runner *r)
{
    return r->incarnation;
}

size_t sim_runner_done(const struct sim_runner *r)
{
    return r->done;
}

size_t sim_runner_begun(const struct sim_runner *r)
{
    return r->begun;
}

bool sim_runner_runs(const struct sim_runner *r)
{
    return r->state != RUNNER_OFF;
}

const char *sim_runner_name(const struct sim_runner *r)
{
    return r->name;
}

size_t sim_runner_place(const struct sim_runner *r)
{
    return r->place;
}

struct sim_runner *sim_runner_at(const struct sim *s, struct str address)
{
    for (size_t i = 0; i < s->runners_n; i++)
        if (str_eq(s->runners[i]->address, address))
            return s->runners[i];
    return NULL;
}

struct sim_runner *sim_runner_new(struct sim *s, const struct sim_runner_options *o)
{
    struct sim_runner *r = ARENA_NEW(&s->memory, struct sim_runner);

    r->sim = s;
    r->o = *o;
    r->place = WORLD_RUNNERS_FROM + s->runners_n;
    r->chance.whose = STREAM_RUNNER + (uint32_t)s->runners_n;
    r->name = str_printf(&s->memory, "r%zu", s->runners_n + 1).p;
    r->address = str_printf(&s->memory, "%s:1", r->name);
    s->runners[s->runners_n++] = r;
    return r;
}
