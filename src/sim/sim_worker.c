/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/broken.h"
#include "sim/model.h"
#include "sim/sim_actors.h"

#define TRIES_FOR_EVER UINT32_MAX

enum worker_life { WORKER_OFF, WORKER_REGISTERING, WORKER_UP };

struct job {
    struct lease_ref lease; /* token 0: free */
    bool ending;            /* its completion is on the way */
    bool stop;              /* it is to be cancelled */
    bool worked;            /* in this life of its worker */
};

struct sim_worker {
    struct sim *sim;
    struct sim_worker_options o;
    const char *name;
    size_t place;
    struct stream chance;
    enum worker_life state;
    int64_t life; /* of its process */
    int64_t incarnation;
    int64_t asleep_until;
    bool claiming;
    int64_t claim_at, beat_at; /* the next; an event of another time is an old one */
    struct job jobs[WORKER_JOBS_MAX];
    size_t done, refused;
};

/* What comes while it stands still comes when it wakes. */

struct postponed {
    struct ask *ask;
    struct answer answer;
};

static bool asleep(const struct sim_worker *w)
{
    return world_now(w->sim) < w->asleep_until;
}

static bool fault_now(struct sim_worker *w, enum sim_fault f)
{
    return stream_fault(w->sim, &w->chance, f);
}

/* An event of this life, or none of its business. */
static void plan(struct sim_worker *w, int64_t in_us, world_event *event)
{
    world_plan(w->sim, in_us, event, w, w->life);
}

/* True where the event is not for now: of an earlier life, or for when it wakes. */
static bool not_now(struct sim_worker *w, world_event *event, int64_t life)
{
    if (life != w->life)
        return true;
    if (!asleep(w))
        return false;
    plan(w, w->asleep_until - world_now(w->sim), event);
    return true;
}

/* Asking. */

static void hear(struct ask *a, const struct answer *answer);

static void hear_late(struct sim *s, void *what, int64_t number)
{
    struct postponed *p = what;

    (void)s;
    (void)number;
    hear(p->ask, &p->answer);
}

static struct ask *ask(struct sim_worker *w, enum ask_kind kind)
{
    struct ask *a = ask_new(w->sim, kind);

    a->who = w->name;
    a->place = w->place;
    a->chance = &w->chance;
    a->answered = hear;
    a->context = w;
    a->life = w->life;
    return a;
}

/* Jobs. */

static struct job *job_of(struct sim_worker *w, int64_t token)
{
    for (size_t i = 0; i < WORKER_JOBS_MAX; i++)
        if (w->jobs[i].lease.token == token)
            return &w->jobs[i];
    return NULL;
}

size_t sim_worker_jobs(const struct sim_worker *w)
{
    size_t n = 0;

    for (size_t i = 0; i < WORKER_JOBS_MAX; i++)
        n += w->jobs[i].lease.token != 0;
    return n;
}

static void send_end(struct sim_worker *w, struct lease_ref lease, enum ask_kind kind,
                     const char *outcome, const char *content)
{
    struct ask *a = ask(w, kind);

    a->leases = ARENA_NEW(&w->sim->memory, struct lease_ref);
    a->leases[0] = lease;
    a->leases_n = 1;
    a->outcome = outcome;
    a->content = content;
    a->tries_max = TRIES_FOR_EVER; /* from its outbox */
    ask_send(a);
}

/* All that it has in hand succeeds at once. */
static void finish_together(struct sim_worker *w)
{
    struct ask *a = ask(w, ASK_COMPLETE);

    a->leases = ARENA_ARRAY(&w->sim->memory, struct lease_ref, WORKER_JOBS_MAX);
    for (size_t i = 0; i < WORKER_JOBS_MAX; i++) {
        struct job *j = &w->jobs[i];

        if (!j->lease.token || j->ending)
            continue;
        j->ending = true;
        a->leases[a->leases_n++] = j->lease;
    }
    a->outcome = "succeeded";
    a->content = "{}";
    a->tries_max = TRIES_FOR_EVER;
    ask_send(a);
}

static void finish(struct sim_worker *w, struct job *j)
{
    if (!j->stop && stream_chance(w->sim, &w->chance, 300000)) {
        finish_together(w);
        return;
    }
    j->ending = true;
    if (fault_now(w, SIM_WORKER_RELEASES))
        send_end(w, j->lease, ASK_RELEASE, NULL, NULL);
    else if (j->stop)
        send_end(w, j->lease, ASK_COMPLETE, "cancelled", "stopped");
    else if (fault_now(w, SIM_WORKER_FAILS))
        send_end(w, j->lease, ASK_COMPLETE, "failed", "it went wrong");
    else
        send_end(w, j->lease, ASK_COMPLETE, "succeeded", "{\"ok\":true}");
}

struct work {
    struct sim_worker *worker;
    int64_t life;
};

static void work_ends(struct sim *s, void *what, int64_t token)
{
    struct work *work = what;
    struct sim_worker *w = work->worker;
    struct job *j;

    if (work->life != w->life)
        return;
    if (asleep(w)) {
        world_plan(s, w->asleep_until - world_now(s), work_ends, work, token);
        return;
    }
    j = job_of(w, token);
    if (j && !j->ending)
        finish(w, j);
}

static int64_t work_us(struct sim_worker *w)
{
    if (w->o.work_us)
        return w->o.work_us;
    if (fault_now(w, SIM_WORKER_SLOW))
        return stream_between(w->sim, &w->chance, w->o.ttl_us / 2, 4 * w->o.ttl_us);
    return stream_between(w->sim, &w->chance, CLOCK_MS, 2 * CLOCK_S);
}

static void job_work(struct sim_worker *w, struct job *j)
{
    struct work *work = ARENA_NEW(&w->sim->memory, struct work);

    *work = (struct work){w, w->life};
    j->worked = true;
    world_plan(w->sim, work_us(w), work_ends, work, j->lease.token);
}

static void job_start(struct sim_worker *w, struct lease_ref lease)
{
    struct job *j = job_of(w, 0);

    if (!j || job_of(w, lease.token)) /* a second answer to the same claim */
        return;
    *j = (struct job){.lease = lease};
    job_work(w, j);
}

static void drop_jobs(struct sim_worker *w)
{
    memset(w->jobs, 0, sizeof(w->jobs));
}

/* Claiming. */

static void claim_next(struct sim *s, void *what, int64_t life);

static void claim_in(struct sim_worker *w, int64_t in_us)
{
    w->claim_at = world_now(w->sim) + in_us;
    plan(w, in_us, claim_next);
}

static void claim_soon(struct sim_worker *w)
{
    claim_in(w, stream_between(w->sim, &w->chance, CLOCK_MS, 500 * CLOCK_MS));
}

static void lie(struct sim_worker *w)
{
    const struct lease_ref l = {model_task(w->sim->model, stream_draw(w->sim, &w->chance)),
                                stream_between(w->sim, &w->chance, 1, 500)};

    if (l.task && !job_of(w, l.token))
        send_end(w, l, ASK_COMPLETE, "succeeded", "{\"ok\":false}");
}

static void leave(struct sim_worker *w)
{
    struct ask *a = ask(w, ASK_LEAVE);

    a->id = w->incarnation;
    ask_send(a);
    sim_worker_crash(w);
}

/* What it may do wrong once in a while. True: it is gone. */
static bool misbehave(struct sim_worker *w)
{
    if (fault_now(w, SIM_WORKER_CRASH)) {
        sim_worker_crash(w);
        return true;
    }
    if (!w->o.guest && fault_now(w, SIM_WORKER_LEAVES)) {
        leave(w);
        return true;
    }
    if (fault_now(w, SIM_WORKER_SLEEP))
        sim_worker_sleep(w, stream_between(w->sim, &w->chance, w->o.ttl_us / 4, 4 * w->o.ttl_us));
    if (fault_now(w, SIM_WORKER_LIES))
        lie(w);
    return false;
}

static void claim_next(struct sim *s, void *what, int64_t life)
{
    struct sim_worker *w = what;
    int64_t room = w->o.slots - (int64_t)sim_worker_jobs(w);
    struct ask *a;

    if (life != w->life || world_now(s) != w->claim_at)
        return;
    if (asleep(w)) {
        claim_in(w, w->asleep_until - world_now(s));
        return;
    }
    if (w->state != WORKER_UP || w->claiming)
        return;
    if (misbehave(w))
        return;
    if (room <= 0) {
        claim_soon(w);
        return;
    }
    w->claiming = true;
    a = ask(w, ASK_CLAIM);
    a->queue = sim_client_queue(s, stream_draw(s, &w->chance));
    a->id = w->incarnation;
    a->name = w->name;
    a->max = stream_between(s, &w->chance, 1, room + 1); /* the server knows how many it may */
    /* Or that of the queue. */
    a->ttl_us = w->o.guest && stream_chance(s, &w->chance, 700000) ? w->o.ttl_us : 0;
    a->wait_us = stream_between(s, &w->chance, 0, 4) * CLOCK_S;
    /* The heartbeat would keep leases that it never heard of for ever: so it asks with the same key
     * until it is told, as the SDKs do. Those of a guest end by themselves. */
    a->tries_max = w->o.guest ? 2 : TRIES_FOR_EVER;
    a->keyed = !w->o.guest || stream_chance(s, &w->chance, 500000);
    ask_send(a);
    if (w->o.guest && fault_now(w, SIM_CLIENT_LEAVES))
        ask_abandon(a, stream_between(s, &w->chance, 100, a->wait_us + 10 * CLOCK_MS));
}

/* Being there. */

static void beat_next(struct sim *s, void *what, int64_t life);
static void renew_next(struct sim *s, void *what, int64_t life);

static void up(struct sim_worker *w)
{
    w->state = WORKER_UP;
    w->claiming = false;
    claim_in(w, 0);
    if (w->o.guest)
        plan(w, w->o.ttl_us / 3, renew_next);
}

static struct lease_ref *leases_of(struct sim_worker *w, size_t *ret_n)
{
    struct lease_ref *list = ARENA_ARRAY(&w->sim->memory, struct lease_ref, WORKER_JOBS_MAX);

    *ret_n = 0;
    for (size_t i = 0; i < WORKER_JOBS_MAX; i++)
        if (w->jobs[i].lease.token)
            list[(*ret_n)++] = w->jobs[i].lease;
    return list;
}

static void beat_in(struct sim_worker *w, int64_t in_us)
{
    w->beat_at = world_now(w->sim) + in_us;
    plan(w, in_us, beat_next);
}

static void enroll(struct sim_worker *w, bool takeover)
{
    struct ask *a = ask(w, ASK_REGISTER);

    w->state = WORKER_REGISTERING;
    a->name = w->name;
    a->slots = w->o.slots;
    a->ttl_us = w->o.ttl_us;
    a->takeover = takeover || stream_chance(w->sim, &w->chance, 300000);
    a->leases = leases_of(w, &a->leases_n);
    ask_send(a);
}

static void enroll_again(struct sim *s, void *what, int64_t life)
{
    struct sim_worker *w = what;

    (void)s;
    if (!not_now(w, enroll_again, life) && w->state == WORKER_REGISTERING)
        enroll(w, false);
}

static void beat_next(struct sim *s, void *what, int64_t life)
{
    struct sim_worker *w = what;
    struct ask *a;

    if (life != w->life || world_now(s) != w->beat_at)
        return;
    if (asleep(w)) {
        beat_in(w, w->asleep_until - world_now(s));
        return;
    }
    if (w->state != WORKER_UP)
        return;
    a = ask(w, ASK_BEAT);
    a->id = w->incarnation;
    a->tries_max = 1;
    a->timeout_us = w->o.ttl_us / 5;
    ask_send(a);
    beat_in(w, w->o.ttl_us / 5);
}

static void renew_next(struct sim *s, void *what, int64_t life)
{
    struct sim_worker *w = what;
    struct ask *a;

    (void)s;
    if (not_now(w, renew_next, life))
        return;
    a = ask(w, ASK_RENEW);
    a->leases = leases_of(w, &a->leases_n);
    /* It may ask for less than it has. */
    a->ttl_us = stream_chance(w->sim, &w->chance, 300000) ? w->o.ttl_us / 2 : w->o.ttl_us;
    a->tries_max = 2;
    a->timeout_us = w->o.ttl_us / 5;
    if (a->leases_n)
        ask_send(a);
    plan(w, w->o.ttl_us / 3, renew_next);
}

/* Answers. */

/* What was sent and not answered may reach a server later than what was, and take leases that
 * nobody hears of, which the heartbeat would keep for ever. Another incarnation fences it off. */
static bool left_behind(const struct sim_worker *w, const struct ask *a,
                        const struct answer *answer)
{
    return !w->o.guest && answer->n == 0 && a->sent > 1 && !BROKEN(LEFT);
}

static void hear_claim(struct sim_worker *w, const struct ask *a, const struct answer *answer)
{
    w->claiming = false;
    for (size_t i = 0; i < answer->n; i++)
        job_start(w, answer->given[i].lease);
    if (answer->code == CODE_WORKER_LOST || answer->code == CODE_WORKER_NOT_FOUND) {
        drop_jobs(w);
        enroll(w, false);
    } else if (left_behind(w, a, answer) && w->state == WORKER_UP) {
        enroll(w, true);
    } else {
        claim_soon(w);
    }
}

static void hear_end(struct sim_worker *w, const struct ask *a, const struct answer *answer)
{
    bool good = answer->code == CODE_OK && answer->n && answer->codes[0] == CODE_OK, mine = false;

    for (size_t i = 0; i < answer->n; i++) {
        w->done += answer->codes[i] == CODE_OK;
        w->refused += answer->codes[i] == CODE_LEASE_LOST;
    }
    for (size_t i = 0; i < a->leases_n; i++) {
        struct job *j = job_of(w, a->leases[i].token);

        /* A lie may have guessed the token of what it was given meanwhile. */
        if (!j || j->lease.task != a->leases[i].task)
            continue;
        mine = true;
        *j = (struct job){0};
    }
    if (!mine)
        return; /* it was said a second time, or was a lie */
    if (good && a->outcome && fault_now(w, SIM_WORKER_TWICE))
        send_end(w, a->leases[0], ASK_COMPLETE, a->outcome, a->content);
    if (good && a->outcome && fault_now(w, SIM_WORKER_DIFFERS))
        send_end(w, a->leases[0], ASK_COMPLETE, "failed", "something else");
}

static void hear_register(struct sim_worker *w, const struct answer *answer)
{
    if (answer->code != CODE_OK) {
        plan(w, stream_between(w->sim, &w->chance, CLOCK_S, 10 * CLOCK_S), enroll_again);
        return;
    }
    for (size_t i = 0; i < answer->lost_n; i++) {
        struct job *j = job_of(w, answer->lost[i].token);

        if (j)
            *j = (struct job){0};
    }
    for (size_t i = 0; i < answer->kept_n; i++) {
        struct job *j = job_of(w, answer->kept[i].token);

        if (j && !j->worked)
            job_work(w, j);
    }
    w->incarnation = answer->id;
    up(w);
    beat_in(w, w->o.ttl_us / 5);
}

static void stop_job(struct sim_worker *w, int64_t token)
{
    struct job *j = job_of(w, token);

    /* Some do not look, and end it in their own way. */
    if (!j || j->ending || stream_chance(w->sim, &w->chance, 300000))
        return;
    j->stop = true;
    finish(w, j);
}

static void hear_beat(struct sim_worker *w, const struct ask *a, const struct answer *answer)
{
    if (a->id != w->incarnation || w->state != WORKER_UP)
        return;
    for (size_t i = 0; i < answer->stop_n; i++)
        stop_job(w, answer->stop[i].token);
    if (answer->code == CODE_WORKER_LOST || answer->code == CODE_WORKER_NOT_FOUND) {
        drop_jobs(w);
        enroll(w, false);
    } else if (answer->draining && sim_worker_jobs(w) == 0) {
        leave(w);
    }
}

static void hear_renew(struct sim_worker *w, const struct ask *a, const struct answer *answer)
{
    for (size_t i = 0; i < answer->n; i++) {
        struct job *j = job_of(w, a->leases[i].token);

        if (j && answer->codes[i] == CODE_LEASE_LOST && !j->ending)
            *j = (struct job){0};
        else if (j && answer->stops[i])
            stop_job(w, j->lease.token);
    }
}

static void hear(struct ask *a, const struct answer *answer)
{
    struct sim_worker *w = a->context;

    if (a->life != w->life)
        return;
    if (asleep(w)) {
        struct postponed *p = ARENA_NEW(&w->sim->memory, struct postponed);

        *p = (struct postponed){a, *answer};
        world_plan(w->sim, w->asleep_until - world_now(w->sim), hear_late, p, 0);
        return;
    }
    if (a->kind == ASK_CLAIM)
        hear_claim(w, a, answer);
    else if (a->kind == ASK_COMPLETE || a->kind == ASK_RELEASE)
        hear_end(w, a, answer);
    else if (a->kind == ASK_REGISTER)
        hear_register(w, answer);
    else if (a->kind == ASK_BEAT)
        hear_beat(w, a, answer);
    else if (a->kind == ASK_RENEW)
        hear_renew(w, a, answer);
}

/* Life. */

void sim_worker_start(struct sim_worker *w)
{
    if (w->state != WORKER_OFF)
        return;
    world_say(w->sim, "%s starts", w->name);
    if (w->o.guest)
        up(w);
    else
        enroll(w, false);
}

static void starts(struct sim *s, void *what, int64_t life)
{
    struct sim_worker *w = what;

    (void)s;
    if (life == w->life)
        sim_worker_start(w);
}

/* Some of those that die remember what they held, as from a file. */
void sim_worker_crash(struct sim_worker *w)
{
    world_say(w->sim, "%s dies", w->name);
    w->life++;
    w->state = WORKER_OFF;
    w->incarnation = 0;
    w->asleep_until = 0;
    if (w->o.guest || stream_chance(w->sim, &w->chance, 500000))
        drop_jobs(w);
    for (size_t i = 0; i < WORKER_JOBS_MAX; i++)
        w->jobs[i].worked = w->jobs[i].ending = false;
    if (w->sim->o.scripted)
        return;
    /* It comes again with other slots, of which there may be fewer than it held. */
    w->o.slots =
        stream_chance(w->sim, &w->chance, 500000) ? 1 : stream_between(w->sim, &w->chance, 1, 6);
    plan(w, stream_between(w->sim, &w->chance, CLOCK_MS, 20 * CLOCK_S), starts);
}

void sim_worker_sleep(struct sim_worker *w, int64_t us)
{
    world_say(w->sim, "%s stands still for %.3f s", w->name, (double)us / CLOCK_S);
    w->asleep_until = world_now(w->sim) + us;
}

bool sim_worker_up(const struct sim_worker *w)
{
    return w->state == WORKER_UP;
}

int64_t sim_worker_incarnation(const struct sim_worker *w)
{
    return w->incarnation;
}

size_t sim_worker_done(const struct sim_worker *w)
{
    return w->done;
}

size_t sim_worker_refused(const struct sim_worker *w)
{
    return w->refused;
}

struct sim_worker *sim_worker_new(struct sim *s, const struct sim_worker_options *o)
{
    struct sim_worker *w = ARENA_NEW(&s->memory, struct sim_worker);

    w->sim = s;
    w->o = *o;
    w->place = s->workers_n;
    w->chance.whose = STREAM_WORKER + (uint32_t)s->workers_n;
    w->name = str_printf(&s->memory, "w%zu", s->workers_n + 1).p;
    s->workers[s->workers_n++] = w;
    return w;
}
