/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph: order and cycles of tasks by index, in time linear in tasks and edges, without recursion.
 */
#ifndef CORE_GRAPH_H
#define CORE_GRAPH_H

#include <stdint.h>

#include "base/arena.h"

/* Task `to` depends on task `from`. */
struct graph_edge {
    uint32_t from;
    uint32_t to;
};

enum { GRAPH_E_CYCLE = 1 };

/*
 * An order in which every task comes after those it depends on; among the free ones the smaller
 * index first (Kahn 1962). Returns 0 with *ret_order (n indices), or GRAPH_E_CYCLE with *ret_order
 * holding one cycle of *ret_n tasks, in the direction of the work: each is a dependency of the
 * next, the last of the first. Both live in the arena.
 */
int graph_order(struct arena *a, uint32_t n, const struct graph_edge *edges, size_t edges_n,
                uint32_t **ret_order, uint32_t *ret_n);

#endif
