/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/minimize.h"

#include <string.h>

#include "base/clock.h"

/* Seeds that a smaller world is tried with: so many at least, and more while they cost little. */
#define SEEDS_TRIED_MIN 8
#define STEPS_TRIED     30000
/* A run may take so much more than the best. */
#define STEPS_MORE     2
#define STEPS_FREE     500
#define STORM_US_LEAST CLOCK_S

struct shrinking {
    struct sim_options *best;
    const char *check;
    uint64_t steps; /* of the best */
    struct arena *arena;
    const struct minimize_watch *watch;
    struct minimize_told *told;
};

/* Whether there is time for another run. */
static bool goes_on(struct shrinking *m)
{
    m->told->faults_after = m->best->left_n;
    return m->told->runs < MINIMIZE_RUNS_MAX &&
           (!m->watch || m->watch->goes_on(m->watch->context, m->told));
}

/* Whether it still fails so, and not much later; then it is the best, with the faults that it had.
 */
static bool try_one(struct shrinking *m, const struct sim_options *o)
{
    struct sim_options bounded = *o;
    struct sim_result r;
    struct sim_occasion *faults;
    bool same;

    if (!goes_on(m))
        return false;
    if (m->steps)
        bounded.steps_max = STEPS_MORE * m->steps + STEPS_FREE;
    m->told->runs++;
    sim_run(&bounded, &r);
    m->told->steps += r.steps;
    same = r.check && strcmp(r.check, m->check) == 0;
    if (same) {
        faults = ARENA_ARRAY(m->arena, struct sim_occasion, r.faults_n);
        if (r.faults_n)
            memcpy(faults, r.faults, r.faults_n * sizeof(*faults));
        *m->best = *o;
        m->best->only = true;
        m->best->left = faults;
        m->best->left_n = r.faults_n;
        m->steps = r.steps;
    }
    sim_result_clear(&r);
    return same;
}

/* In a smaller world all comes otherwise: so everything may go wrong again there, by this seed or
 * one of the next. */
static bool try_seeds(struct shrinking *m, struct sim_options *o)
{
    uint64_t steps = m->told->steps;

    o->only = false;
    for (int i = 0; i < SEEDS_TRIED_MIN || m->told->steps - steps < STEPS_TRIED; i++, o->seed++)
        if (!goes_on(m))
            return false;
        else if (try_one(m, o))
            return true;
    return false;
}

/* Half of a number, or one less, as long as it goes. */
static void shrink_number(struct shrinking *m, size_t offset, int least)
{
    for (;;) {
        struct sim_options o = *m->best, less = o;
        int was = *(int *)(void *)((char *)&o.profile + offset);

        if (was <= least)
            return;
        *(int *)(void *)((char *)&o.profile + offset) = was / 2 > least ? was / 2 : least;
        *(int *)(void *)((char *)&less.profile + offset) = was - 1;
        if (!try_seeds(m, &o) && !try_seeds(m, &less))
            return;
    }
}

/* Half of the time, with half of the tasks, which then come as often, or with all of them. */
static void shrink_storm(struct shrinking *m)
{
    for (;;) {
        struct sim_options o = *m->best, less = o;

        if (o.profile.storm_us < 2 * STORM_US_LEAST)
            return;
        o.profile.storm_us = less.profile.storm_us = o.profile.storm_us / 2;
        if (less.profile.tasks > 1)
            less.profile.tasks /= 2;
        if (!try_seeds(m, &less) && !try_seeds(m, &o))
            return;
    }
}

static void shrink_world(struct shrinking *m)
{
    shrink_number(m, offsetof(struct sim_profile, plans), 0);
    shrink_number(m, offsetof(struct sim_profile, runners), 0);
    shrink_number(m, offsetof(struct sim_profile, runs), 0);
    shrink_number(m, offsetof(struct sim_profile, workers), 1);
    shrink_number(m, offsetof(struct sim_profile, servers), 1);
    shrink_number(m, offsetof(struct sim_profile, clients), 1);
    shrink_number(m, offsetof(struct sim_profile, queues), 1);
    shrink_storm(m);
    shrink_number(m, offsetof(struct sim_profile, tasks), 1);
}

/* Without `n` faults from `at` on. */
static bool leave_out(struct shrinking *m, size_t at, size_t n)
{
    struct sim_options o = *m->best;
    struct sim_occasion *rest = ARENA_ARRAY(m->arena, struct sim_occasion, o.left_n);
    size_t kept = 0;

    for (size_t i = 0; i < o.left_n; i++)
        if (i < at || i >= at + n)
            rest[kept++] = o.left[i];
    o.left = rest;
    o.left_n = kept;
    return try_one(m, &o);
}

static void shrink_faults(struct shrinking *m)
{
    for (size_t n = m->best->left_n; n; n = n > 1 ? (n + 1) / 2 : 0) {
        size_t at = 0;

        while (at < m->best->left_n && goes_on(m))
            if (!leave_out(m, at, n))
                at += n;
    }
}

void minimize_history(struct sim_options *o, const char *check, struct arena *a,
                      const struct minimize_watch *watch, struct minimize_told *ret)
{
    struct shrinking m = {.best = o, .check = check, .arena = a, .told = ret};
    struct sim_options whole = *o;

    *ret = (struct minimize_told){0};
    o->trace = whole.trace = NULL;
    if (!try_one(&m, &whole))
        return;
    ret->faults_before = o->left_n;
    m.watch = watch;
    shrink_world(&m);
    shrink_faults(&m);
    ret->faults_after = o->left_n;
}
