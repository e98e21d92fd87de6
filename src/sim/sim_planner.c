/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_planner.h"

#include <inttypes.h>

#include "sim/model.h"
#include "sim/sim_runner.h"

#define WRITES_MAX  5
#define CHECKS_MAX  3 /* of a write, as what follows */
#define STAGES_MAX  4
#define EXPECT_MAX  3
#define VERSION_MAX 32 /* that are remembered */

struct plan {
    struct sim_planner *planner;
    int64_t id;
    int writes_left;
    struct ask_write *only;         /* all that is written; NULL: it is drawn */
    int64_t checks_n, stages_n;     /* names that were given, … */
    int64_t checks_had, stages_had; /* … and that were before the write which is under way */
    struct ask_version known[VERSION_MAX];
    size_t known_n;
};

struct sim_planner {
    struct sim *sim;
    const char *name;
    size_t place;
    struct stream chance;
    int plans_left;
    int64_t plans_n;
};

static void hear(struct ask *a, const struct answer *answer);

static struct ask *ask(struct plan *p, enum ask_kind kind)
{
    struct sim_planner *of = p->planner;
    struct ask *a = ask_new(of->sim, kind);

    a->who = of->name;
    a->place = of->place;
    a->chance = &of->chance;
    a->answered = hear;
    a->context = p;
    a->id = p->id;
    return a;
}

/* ---- what is written ---- */

static const char *name(struct sim *s, const char *kind, int64_t number)
{
    return str_printf(&s->memory, "%s%" PRId64, kind, number).p;
}

/* One of those that were named, or, now and then, one that will be or never is. */
static const char *draw_name(struct sim *s, struct stream *chance, int64_t checks, int64_t stages)
{
    bool late = stream_chance(s, chance, 100000), check = stream_chance(s, chance, 400000);
    int64_t n = check ? checks : stages;

    if (late || n == 0)
        n += late ? 4 : 1;
    return name(s, check ? "c" : "s", stream_below(s, chance, n));
}

static void draw_needs(struct sim *s, struct stream *chance, const struct plan *p,
                       struct ask_needs *ret)
{
    static const char *const rules[] = {"all_success", "all_done", "one_success", "one_done",
                                        "at_least"};

    if (p->checks_n + p->stages_n == 0 || stream_chance(s, chance, 400000))
        return;
    ret->n = (size_t)stream_between(s, chance, 1, ASK_NEEDS_MAX);
    for (size_t i = 0; i < ret->n; i++)
        ret->from[i] = draw_name(s, chance, p->checks_n, p->stages_n);
    for (size_t i = 1; i < ret->n; i++) /* each once */
        for (size_t j = 0; j < i; j++)
            if (str_eq(str_of(ret->from[i]), str_of(ret->from[j])))
                ret->n = i;
    ret->rule = rules[stream_below(s, chance, 5)];
    if (str_eq(str_of(ret->rule), STR("at_least")))
        ret->need = stream_between(s, chance, 1, (int64_t)ret->n);
    ret->cancel_rest = ret->n > 1 && stream_chance(s, chance, 300000);
}

/* A new one, or, where it is the first of its write, another look at an old one. */
static void draw_check(struct plan *p, bool first, struct ask_check *ret)
{
    struct sim *s = p->planner->sim;
    struct stream *chance = &p->planner->chance;
    bool again = first && p->checks_n && stream_chance(s, chance, 400000);

    ret->name = name(s, "c", again ? stream_below(s, chance, p->checks_n) : p->checks_n);
    if (stream_chance(s, chance, 300000))
        ret->state = again ? "PLANNED" : "PLANNING";
    if (!again)
        draw_needs(s, chance, p, &ret->needs);
    p->checks_n += !again;
    if (stream_chance(s, chance, 150000)) {
        ret->result = true;
        ret->final = stream_chance(s, chance, 500000);
        ret->failed = stream_chance(s, chance, 300000);
    }
}

/* How it is done, whatever it is for. */
static void draw_work(struct sim *s, struct stream *chance, struct ask_stage *ret)
{
    ret->type = stream_chance(s, chance, 500000) ? "build" : "test";
    ret->zone = stream_chance(s, chance, 200000) ? "a" : NULL;
    ret->async = stream_chance(s, chance, 500000);
    ret->timeout_us = stream_between(s, chance, 4, 40) * CLOCK_S;
    ret->attempts = stream_between(s, chance, 1, 3);
    ret->backoff_us = stream_between(s, chance, 0, 2) * CLOCK_S;
    if (ret->async && stream_chance(s, chance, 500000))
        ret->accept_us = stream_between(s, chance, 1, 10) * CLOCK_S;
    if (ret->async && stream_chance(s, chance, 400000))
        ret->progress_us = stream_between(s, chance, 1, 4) * CLOCK_S;
}

static void draw_stage(struct plan *p, struct ask_stage *ret)
{
    struct sim *s = p->planner->sim;
    struct stream *chance = &p->planner->chance;

    ret->name = name(s, "s", p->stages_n);
    draw_work(s, chance, ret);
    draw_needs(s, chance, p, &ret->needs);
    p->stages_n++;
    if (p->checks_n && stream_chance(s, chance, 600000)) {
        ret->check = name(s, "c", stream_below(s, chance, p->checks_n));
        ret->planned = stream_chance(s, chance, 250000);
    }
}

static void draw_expect(struct plan *p, struct ask_write *w)
{
    struct sim *s = p->planner->sim;
    struct stream *chance = &p->planner->chance;
    bool stale = stream_chance(s, chance, 200000);

    w->expect = ARENA_ARRAY(&s->memory, struct ask_version, EXPECT_MAX);
    for (size_t i = 0; i < EXPECT_MAX && i < p->known_n; i++) {
        w->expect[i] = p->known[p->known_n - 1 - i];
        w->expect[i].version -= stale && i == 0;
        w->expect_n++;
    }
}

static struct ask_write *draw_write(struct plan *p)
{
    struct sim *s = p->planner->sim;
    struct stream *chance = &p->planner->chance;
    struct ask_write *w = ARENA_NEW(&s->memory, struct ask_write);

    w->checks_n = (size_t)stream_between(s, chance, 0, CHECKS_MAX);
    w->checks = ARENA_ARRAY(&s->memory, struct ask_check, w->checks_n);
    for (size_t i = 0; i < w->checks_n; i++)
        w->checks[i] = (struct ask_check){0};
    w->stages_n = (size_t)stream_between(s, chance, 1, STAGES_MAX);
    w->stages = ARENA_ARRAY(&s->memory, struct ask_stage, w->stages_n);
    for (size_t i = 0; i < w->stages_n; i++)
        w->stages[i] = (struct ask_stage){0};
    for (size_t i = 0; i < w->checks_n; i++)
        draw_check(p, i == 0, &w->checks[i]);
    for (size_t i = 0; i < w->stages_n; i++)
        draw_stage(p, &w->stages[i]);
    if (stream_chance(s, chance, 300000))
        draw_expect(p, w);
    return w;
}

struct ask_write *sim_planner_spawn(struct sim *s, struct stream *chance, struct lease_ref writer,
                                    const char *check)
{
    struct ask_write *w = ARENA_NEW(&s->memory, struct ask_write);

    w->stages_n = (size_t)stream_between(s, chance, 1, 2);
    w->stages = ARENA_ARRAY(&s->memory, struct ask_stage, w->stages_n);
    for (size_t i = 0; i < w->stages_n; i++) {
        w->stages[i] = (struct ask_stage){
            .name = str_printf(&s->memory, "t%" PRId64 "-%zu", writer.token, i).p};
        draw_work(s, chance, &w->stages[i]);
        w->stages[i].check = check;
    }
    w->writer = writer;
    return w;
}

/* ---- the plan ---- */

static void goes_on(struct sim *s, void *what, int64_t number);

static void later(struct plan *p, int64_t most_us)
{
    world_plan(p->planner->sim, stream_between(p->planner->sim, &p->planner->chance, 1, most_us),
               goes_on, p, 0);
}

static void seal(struct plan *p)
{
    struct ask *a = ask(p, ASK_PLAN_SEAL);

    a->tries_max = 100000;
    ask_send(a);
}

static void goes_on(struct sim *s, void *what, int64_t number)
{
    struct plan *p = what;
    struct stream *chance = &p->planner->chance;
    struct ask *a;

    (void)number;
    if (!s->calm && !p->only && stream_chance(s, chance, 40000))
        ask_send(ask(p, ASK_RUN_CANCEL));
    if (s->calm || p->writes_left == 0) {
        seal(p);
        return;
    }
    p->writes_left--;
    p->checks_had = p->checks_n;
    p->stages_had = p->stages_n;
    a = ask(p, ASK_PLAN_WRITE);
    a->write = p->only ? p->only : draw_write(p);
    a->keyed = stream_chance(s, chance, 800000);
    ask_send(a);
}

static void remember(struct plan *p, const struct ask_version *v)
{
    for (size_t i = 0; i < p->known_n; i++)
        if (str_eq(str_of(p->known[i].name), str_of(v->name))) {
            p->known[i].version = v->version;
            return;
        }
    if (p->known_n < VERSION_MAX)
        p->known[p->known_n++] = *v;
}

static void hear(struct ask *a, const struct answer *answer)
{
    struct plan *p = a->context;

    if (a->kind == ASK_PLAN_CREATE && answer->code == CODE_OK) {
        p->id = answer->id;
        later(p, 2 * CLOCK_S);
    } else if (a->kind == ASK_PLAN_WRITE) {
        for (size_t i = 0; i < answer->written_n; i++)
            remember(p, &answer->written[i]);
        if (answer->code != CODE_OK && !answer->unknown) {
            p->checks_n = p->checks_had;
            p->stages_n = p->stages_had;
        }
        later(p, 8 * CLOCK_S);
    }
}

/* ---- life ---- */

static void begin(struct sim_planner *of, int writes, struct ask_write *only)
{
    struct plan *p = ARENA_NEW(&of->sim->memory, struct plan);
    struct ask *a;

    p->planner = of;
    p->writes_left = writes;
    p->only = only;
    a = ask(p, ASK_PLAN_CREATE);
    a->name = str_printf(&of->sim->memory, "%s-%" PRId64, of->name, ++of->plans_n).p;
    a->tries_max = 100000; /* what nobody knows of nobody seals */
    ask_send(a);
}

void sim_planner_make(struct sim_planner *p, struct ask_write *w)
{
    begin(p, 1, w);
}

static void drain_one(struct sim_planner *p)
{
    struct sim *s = p->sim;
    const struct sim_runner *r = s->runners[stream_below(s, &p->chance, (int64_t)s->runners_n)];
    struct plan *none = ARENA_NEW(&s->memory, struct plan);
    struct ask *a;

    if (!sim_runner_incarnation(r))
        return;
    none->planner = p;
    a = ask(none, ASK_DRAIN);
    a->id = sim_runner_incarnation(r);
    ask_send(a);
}

static void next(struct sim *s, void *what, int64_t number)
{
    struct sim_planner *p = what;
    int64_t pause_us = s->o.profile.storm_us / (s->o.profile.plans / s->o.profile.clients + 1);

    (void)number;
    if (s->calm)
        return;
    if (p->plans_left > 0) {
        begin(p, (int)stream_between(s, &p->chance, 1, WRITES_MAX), NULL);
        p->plans_left--;
    }
    if (s->runners_n && stream_chance(s, &p->chance, 100000))
        drain_one(p);
    world_plan(s, stream_between(s, &p->chance, 1, pause_us), next, p, 0);
}

void sim_planner_start(struct sim_planner *p)
{
    const struct sim_profile *of = &p->sim->o.profile;

    p->plans_left = (of->plans + of->clients - 1) / of->clients;
    next(p->sim, p, 0);
}

struct sim_planner *sim_planner_new(struct sim *s, size_t client)
{
    struct sim_planner *p = ARENA_NEW(&s->memory, struct sim_planner);

    p->sim = s;
    p->place = SIM_WORKERS_MAX + client;
    p->chance.whose = STREAM_PLANNER + (uint32_t)client;
    p->name = str_printf(&s->memory, "p%zu", client + 1).p;
    s->planners[client] = p;
    return p;
}
