/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_nodes: the checks and stages that a write names, each once, as they are before it and as it
 * makes them; what it adds between them; and whether that closes a cycle.
 */
#ifndef ENGINE_PLAN_NODES_H
#define ENGINE_PLAN_NODES_H

#include "engine/plan.h"
#include "engine/row.h"
#include "engine/sets.h"

/* A group that follows from others' edges: of planning, or of conclusion. */
struct plan_side {
    int64_t id; /* 0: there is none */
    int64_t total, added;
    bool made; /* by this write */
    bool put;  /* changed by it, beside what is added */
    bool met;
};

struct plan_node {
    struct str name;
    int64_t id;
    bool found;   /* it stood in the run before */
    bool written; /* by this write */
    bool check;
    struct task_row row; /* where it was found, like all below */
    int64_t version;
    struct str kind, needs, goals;
    bool same_payload; /* args or options are those that the write gives it */
    int64_t accept_us, progress_us;
    struct plan_side plan, final;
    struct str given; /* args or options that the write gives it; empty: none */
    uint64_t mark;    /* the list that named it last */
};

/* `to` waits for `from`. */
struct plan_edge {
    int64_t from, to;
};

struct plan_nodes {
    struct tx *tx;
    int64_t run;
    struct plan_node *list; /* by name */
    size_t n;
    struct plan_edge *edges; /* that the write adds */
    size_t edges_n, edges_cap;
    uint64_t marks;
};

/* Read what stands of all names of a write. */
int plan_nodes_read(struct plan_nodes *ns, const struct plan_write *req);
struct plan_node *plan_node_of(const struct plan_nodes *ns, struct str name);
/* The groups of planning and conclusion of the checks among them that were found. */
int plan_nodes_sides(struct plan_nodes *ns);
void plan_nodes_edge(struct plan_nodes *ns, int64_t from, int64_t to);
/* CYCLE, with the names on it. */
int plan_nodes_cycle(struct plan_nodes *ns);

#endif
