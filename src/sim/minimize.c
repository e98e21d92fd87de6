/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/minimize.h"

#include <string.h>

#include "base/clock.h"

#define SEEDS_TRIED 8

struct shrinking {
    struct sim_options *best;
    const char *check;
    struct arena *arena;
    struct minimize_told *told;
};

/* Whether it still fails so; then it is the best, with the faults that it had. */
static bool try_one(struct shrinking *m, const struct sim_options *o)
{
    struct sim_result r;
    struct sim_occasion *faults;
    bool same;

    if (m->told->runs == MINIMIZE_RUNS_MAX)
        return false;
    m->told->runs++;
    sim_run(o, &r);
    same = r.check && strcmp(r.check, m->check) == 0;
    if (same) {
        faults = ARENA_ARRAY(m->arena, struct sim_occasion, r.faults_n);
        if (r.faults_n)
            memcpy(faults, r.faults, r.faults_n * sizeof(*faults));
        *m->best = *o;
        m->best->only = true;
        m->best->left = faults;
        m->best->left_n = r.faults_n;
    }
    sim_result_clear(&r);
    return same;
}

/* In a smaller world all comes otherwise: so everything may go wrong again there, by this seed or
 * one of the next. */
static bool try_seeds(struct shrinking *m, struct sim_options *o)
{
    o->only = false;
    for (int i = 0; i < SEEDS_TRIED; i++, o->seed++)
        if (try_one(m, o))
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

static void shrink_world(struct shrinking *m)
{
    shrink_number(m, offsetof(struct sim_profile, runs), 0);
    shrink_number(m, offsetof(struct sim_profile, workers), 1);
    shrink_number(m, offsetof(struct sim_profile, servers), 1);
    shrink_number(m, offsetof(struct sim_profile, clients), 1);
    shrink_number(m, offsetof(struct sim_profile, queues), 1);
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

        while (at < m->best->left_n && m->told->runs < MINIMIZE_RUNS_MAX)
            if (!leave_out(m, at, n))
                at += n;
    }
}

void minimize_history(struct sim_options *o, const char *check, struct arena *a,
                      struct minimize_told *ret)
{
    struct shrinking m = {.best = o, .check = check, .arena = a, .told = ret};
    struct sim_options whole = *o;

    *ret = (struct minimize_told){0};
    o->trace = whole.trace = NULL;
    if (!try_one(&m, &whole))
        return;
    ret->faults_before = o->left_n;
    shrink_world(&m);
    shrink_faults(&m);
    ret->faults_after = o->left_n;
}
