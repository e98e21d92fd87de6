/* SPDX-License-Identifier: Apache-2.0 */
/* The steps are counted inside, so the tests bring a graph of their own. */
static long steps;
#define GRAPH_STEP() (steps++)
#include "core/graph.c" /* NOLINT(bugprone-suspicious-include) */

#include <stdlib.h>

#include "base/prng.h"
#include "base/test.h"

/* The order as its definition says, in quadratic time: again and again the smallest task whose
 * dependencies are all there. Returns how many got a place. */
static uint32_t naive_order(uint32_t n, const struct graph_edge *edges, size_t edges_n,
                            uint32_t *order)
{
    bool placed[2000] = {false};
    uint32_t count = 0;

    for (bool found = true; found;) {
        found = false;
        for (uint32_t v = 0; v < n && !found; v++) {
            bool ready = !placed[v];

            for (size_t i = 0; i < edges_n && ready; i++)
                ready = edges[i].to != v || placed[edges[i].from];
            if (ready) {
                placed[v] = found = true;
                order[count++] = v;
            }
        }
    }
    return count;
}

static bool has_edge(const struct graph_edge *edges, size_t edges_n, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < edges_n; i++)
        if (edges[i].from == from && edges[i].to == to)
            return true;
    return false;
}

/* A ring of different tasks, each a dependency of the next, the smallest first. */
static bool is_cycle(const struct graph_edge *edges, size_t edges_n, const uint32_t *ring,
                     uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!has_edge(edges, edges_n, ring[i], ring[(i + 1) % n]))
            return false;
        for (uint32_t j = i + 1; j < n; j++)
            if (ring[j] <= ring[0] || ring[j] == ring[i])
                return false;
    }
    return n > 0;
}

static void compare(struct arena *a, uint32_t n, const struct graph_edge *edges, size_t edges_n)
{
    uint32_t expected[2000], *order, count;
    int r = graph_order(a, n, edges, edges_n, &order, &count);

    if (naive_order(n, edges, edges_n, expected) == n) {
        assert_int_equal(r, 0);
        assert_int_equal(count, n);
        assert_true(n == 0 || memcmp(order, expected, n * sizeof(*order)) == 0);
    } else {
        assert_int_equal(r, GRAPH_E_CYCLE);
        assert_true(is_cycle(edges, edges_n, order, count));
    }
}

/* All graphs of up to four tasks, those that depend on themselves included: 65 536 of four. */
static void every_graph_of_four_tasks(void **state)
{
    struct arena a = {0};

    (void)state;
    for (uint32_t n = 0; n <= 4; n++) {
        for (uint32_t bits = 0; bits < 1u << n * n; bits++) {
            struct graph_edge edges[16];
            size_t edges_n = 0;

            for (uint32_t i = 0; i < n * n; i++)
                if (bits & 1u << i)
                    edges[edges_n++] = (struct graph_edge){i / n, i % n};
            compare(&a, n, edges, edges_n);
            arena_reset(&a);
        }
    }
    arena_deinit(&a);
}

static void random_graphs(void **state)
{
    struct arena a = {0};
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (int round = 0; round < 200; round++) {
        struct graph_edge edges[600];
        uint32_t n = 1 + (uint32_t)prng_below(&prng, 200), rank[200];
        size_t edges_n = prng_below(&prng, 3 * n);

        /* half of them without cycles: from the lower to the higher rank */
        for (uint32_t v = 0; v < n; v++)
            rank[v] = (uint32_t)prng_below(&prng, 1u << 30);
        for (size_t i = 0; i < edges_n; i++) {
            uint32_t from = (uint32_t)prng_below(&prng, n), to = (uint32_t)prng_below(&prng, n);

            if (round % 2 && rank[from] >= rank[to])
                edges[i] = rank[from] == rank[to] ? (struct graph_edge){0, n > 1}
                                                  : (struct graph_edge){to, from};
            else
                edges[i] = (struct graph_edge){from, to};
        }
        compare(&a, n, edges, edges_n);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void cycles_have_names(void **state)
{
    static const struct {
        const char *name;
        uint32_t n;
        size_t edges_n;
        struct graph_edge edges[8];
        uint32_t cycle_n;
        uint32_t cycle[4];
    } rows[] = {
  /* clang-format off */
        {"a -> a",                       1, 1, {{0, 0}},                         1, {0}},
        {"a -> b -> a",                  2, 2, {{0, 1}, {1, 0}},                 2, {0, 1}},
        {"in the direction of the work", 3, 3, {{0, 2}, {2, 1}, {1, 0}},         3, {0, 2, 1}},
        {"the smallest first",           4, 3, {{3, 1}, {1, 2}, {2, 3}},         3, {1, 2, 3}},
        {"without what leads to it",     4, 4, {{0, 1}, {1, 2}, {2, 3}, {3, 2}}, 2, {2, 3}},
        {"without what comes behind it", 4, 4, {{3, 2}, {2, 3}, {3, 0}, {0, 1}}, 2, {2, 3}},
        {"one of two",                   4, 4, {{0, 1}, {1, 0}, {2, 3}, {3, 2}}, 2, {0, 1}},
        {"the edge told first decides",  3, 4, {{1, 0}, {2, 0}, {0, 1}, {0, 2}}, 2, {0, 1}},
        {"a double edge",                2, 3, {{0, 1}, {0, 1}, {1, 0}},         2, {0, 1}},
  /* clang-format on */
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ROWS_N(rows); i++) {
        uint32_t *cycle, n;

        CHECK_ROW(rows[i].name, graph_order(&a, rows[i].n, rows[i].edges, rows[i].edges_n, &cycle,
                                            &n) == GRAPH_E_CYCLE);
        CHECK_ROW(rows[i].name, n == rows[i].cycle_n);
        CHECK_ROW(rows[i].name, memcmp(cycle, rows[i].cycle, n * sizeof(*cycle)) == 0);
    }
    arena_deinit(&a);
}

/* The order is the graph's: in which order its edges are told does not matter. */
static void the_order_of_the_edges_does_not_matter(void **state)
{
    struct graph_edge edges[] = {
        {5, 0},
        {5, 1},
        {4, 1},
        {1, 2},
        {0, 2},
        {3, 2}
    };
    static const uint32_t expected[] = {3, 4, 5, 0, 1, 2};
    struct arena a = {0};
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (int round = 0; round < 1000; round++) {
        uint32_t *order, n;

        for (size_t i = ROWS_N(edges); i > 1; i--) {
            size_t j = prng_below(&prng, i);
            struct graph_edge e = edges[i - 1];

            edges[i - 1] = edges[j];
            edges[j] = e;
        }
        assert_int_equal(graph_order(&a, 6, edges, ROWS_N(edges), &order, &n), 0);
        assert_memory_equal(order, expected, sizeof(expected));
        arena_reset(&a);
    }
    arena_deinit(&a);
}

enum shape { CHAIN, CHAIN_BACKWARDS, FAN, LATTICE, RING, SHAPES };

/* Fill `edges` (room for 4 n) and return their number. */
static size_t make(enum shape shape, uint32_t n, struct graph_edge *edges)
{
    size_t count = 0;

    for (uint32_t v = 0; v < n; v++) {
        switch (shape) {
        case CHAIN:
        case RING:
            if (v + 1 < n || shape == RING)
                edges[count++] = (struct graph_edge){v, (v + 1) % n};
            break;
        case CHAIN_BACKWARDS:
            if (v > 0)
                edges[count++] = (struct graph_edge){v, v - 1};
            break;
        case FAN:
            if (v > 0)
                edges[count++] = (struct graph_edge){0, v};
            break;
        default: /* each of a row of 100 needs three of the row before */
            for (uint32_t i = 0; i < 3 && v >= 100; i++)
                edges[count++] = (struct graph_edge){v - 100 - (v % 100 < i ? 0 : i), v};
        }
    }
    return count;
}

/* Ten times the graph, ten times the steps; and never more than a fixed number for each task and
 * edge. */
static void work_is_linear(void **state)
{
    static const char *const names[] = {"chain", "chain, backwards", "fan", "lattice", "ring"};
    struct graph_edge *edges = calloc(4 * 200000, sizeof(*edges));
    struct arena a = {0};

    (void)state;
    assert_non_null(edges);
    for (int shape = 0; shape < SHAPES; shape++) {
        for (uint32_t n = 200; n <= 200000; n *= 10) {
            size_t edges_n = make((enum shape)shape, n, edges);
            uint32_t *order, count;
            int r;

            steps = 0;
            r = graph_order(&a, n, edges, edges_n, &order, &count);
            CHECK_ROW(names[shape], r == (shape == RING ? GRAPH_E_CYCLE : 0) && count == n);
            CHECK_ROW(names[shape], steps <= 14L * n + 4L * (long)edges_n);
            arena_reset(&a);
        }
    }
    free(edges);
    arena_deinit(&a);
}

/* The set alone: against a sorted walk, with numbers at the edges of all its levels. */
static void the_set_gives_back_its_smallest(void **state)
{
    static const uint32_t limits[] = {1, 63, 64, 65, 4095, 4096, 4097, 262143, 262144, 262145};
    struct arena a = {0};
    struct prng prng;

    (void)state;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < ROWS_N(limits); i++) {
        struct set s;
        uint32_t v, before = 0, n = 0;

        set_init(&s, &a, limits[i]);
        assert_false(set_take(&s, &v));
        set_add(&s, limits[i] - 1);
        set_add(&s, 0);
        for (int j = 0; j < 1000; j++)
            set_add(&s, (uint32_t)prng_below(&prng, limits[i]));
        while (set_take(&s, &v)) {
            assert_true(v < limits[i] && (n == 0 || v > before));
            before = v;
            n++;
        }
        assert_int_equal(before, limits[i] - 1);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_of_four_tasks),
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(cycles_have_names),
        cmocka_unit_test(the_order_of_the_edges_does_not_matter),
        cmocka_unit_test(work_is_linear),
        cmocka_unit_test(the_set_gives_back_its_smallest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
