/* SPDX-License-Identifier: Apache-2.0 */
#include "core/graph.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The tests count the steps, so that "linear" is a number and not a measurement. */
#ifndef GRAPH_STEP
#define GRAPH_STEP() ((void)0)
#endif

/*
 * A set of small numbers that gives back its smallest. A bit per number, and above it a bit for
 * each word that is not empty, and so on: six levels hold 2^32 numbers, so that adding and taking
 * cost six words at most, where a heap would cost the logarithm.
 */
#define SET_LEVELS 6
struct set {
    uint64_t *words[SET_LEVELS]; /* the lowest level first */
};

static void set_init(struct set *s, struct arena *a, uint32_t n)
{
    size_t words = n;

    for (int level = 0; level < SET_LEVELS; level++) {
        words = words / 64 + 1;
        s->words[level] = ARENA_ARRAY(a, uint64_t, words);
    }
}

static void set_add(struct set *s, uint32_t v)
{
    for (int level = 0; level < SET_LEVELS; level++) {
        GRAPH_STEP();
        s->words[level][v / 64] |= UINT64_C(1) << v % 64;
        v /= 64;
    }
}

/* False where it is empty. */
static bool set_take(struct set *s, uint32_t *ret)
{
    uint32_t v = 0;

    if (!s->words[SET_LEVELS - 1][0])
        return false;
    for (int level = SET_LEVELS; level-- > 0;)
        v = v * 64 + (uint32_t)__builtin_ctzll(s->words[level][v]);
    *ret = v;
    for (int level = 0; level < SET_LEVELS; level++) {
        GRAPH_STEP();
        s->words[level][v / 64] &= ~(UINT64_C(1) << v % 64);
        if (s->words[level][v / 64])
            break;
        v /= 64;
    }
    return true;
}

struct graph {
    uint32_t n;
    size_t *first; /* where the tasks that depend on task i begin in `to`; n + 1 entries */
    uint32_t *to;
    uint32_t *waiting; /* dependencies of task i that have no place in the order yet */
};

static void graph_build(struct graph *g, struct arena *a, uint32_t n,
                        const struct graph_edge *edges, size_t edges_n)
{
    size_t *next = ARENA_ARRAY(a, size_t, n);

    *g = (struct graph){
        .n = n,
        .first = ARENA_ARRAY(a, size_t, (size_t)n + 1),
        .to = ARENA_ARRAY(a, uint32_t, edges_n),
        .waiting = ARENA_ARRAY(a, uint32_t, n),
    };
    for (size_t i = 0; i < edges_n; i++) {
        GRAPH_STEP();
        assert(edges[i].from < n && edges[i].to < n);
        g->first[edges[i].from + 1]++;
        g->waiting[edges[i].to]++;
    }
    for (uint32_t v = 0; v < n; v++) {
        GRAPH_STEP();
        g->first[v + 1] += g->first[v];
        next[v] = g->first[v];
    }
    for (size_t i = 0; i < edges_n; i++) {
        GRAPH_STEP();
        g->to[next[edges[i].from]++] = edges[i].to;
    }
}

/* Fill `order`; returns how many tasks found a place, all but those on a cycle or behind one. */
static uint32_t sort(struct graph *g, struct arena *a, uint32_t *order)
{
    uint32_t placed = 0, v;
    struct set ready;

    set_init(&ready, a, g->n);
    for (v = 0; v < g->n; v++)
        if (g->waiting[v] == 0)
            set_add(&ready, v);
    while (set_take(&ready, &v)) {
        order[placed++] = v;
        for (size_t i = g->first[v]; i < g->first[v + 1]; i++) {
            GRAPH_STEP();
            if (--g->waiting[g->to[i]] == 0)
                set_add(&ready, g->to[i]);
        }
    }
    return placed;
}

/* Turn the ring so that its smallest index stands first. */
static void rotate(uint32_t *ring, uint32_t n, uint32_t *scratch)
{
    uint32_t least = 0;

    for (uint32_t i = 1; i < n; i++)
        if (ring[i] < ring[least])
            least = i;
    memcpy(scratch, ring, n * sizeof(*ring));
    for (uint32_t i = 0; i < n; i++)
        ring[i] = scratch[(least + i) % n];
}

/*
 * Each task without a place waits for another one without a place. Whoever walks from one to the
 * next against the work therefore comes by a task for the second time, and the tasks since the
 * first are a cycle.
 */
static uint32_t name_cycle(const struct graph *g, struct arena *a, const struct graph_edge *edges,
                           size_t edges_n, uint32_t *ring)
{
    uint32_t *needs = ARENA_ARRAY(a, uint32_t, g->n);
    bool *seen = ARENA_ARRAY(a, bool, g->n);
    uint32_t v = 0, n = 0, end;

    for (size_t i = edges_n; i-- > 0;) { /* backwards, so that the first edge of each task stays */
        GRAPH_STEP();
        if (g->waiting[edges[i].from] && g->waiting[edges[i].to])
            needs[edges[i].to] = edges[i].from;
    }
    while (!g->waiting[v])
        v++;
    for (; !seen[v]; v = needs[v]) {
        GRAPH_STEP();
        seen[v] = true;
    }
    end = v;
    do {
        v = needs[v];
        n++;
    } while (v != end);
    for (uint32_t i = n; i-- > 0; v = needs[v]) /* the last of the ring is reached first */
        ring[i] = v;
    rotate(ring, n, needs);
    return n;
}

int graph_order(struct arena *a, uint32_t n, const struct graph_edge *edges, size_t edges_n,
                uint32_t **ret_order, uint32_t *ret_n)
{
    uint32_t *order = ARENA_ARRAY(a, uint32_t, n);
    struct graph g;

    assert(n < UINT32_MAX);
    graph_build(&g, a, n, edges, edges_n);
    *ret_order = order;
    *ret_n = sort(&g, a, order);
    if (*ret_n == n)
        return 0;
    *ret_n = name_cycle(&g, a, edges, edges_n, order);
    return GRAPH_E_CYCLE;
}
