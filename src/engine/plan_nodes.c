/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_nodes.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/fault.h"
#include "core/graph.h"
#include "engine/lane.h"
#include "engine/sets.h"

#define CYCLE_NAMES_MAX 20u /* shown */
#define WALK_FIRST      500 /* edges that are looked at in one direction before the other is tried */

static int by_name(const void *a, const void *b)
{
    const struct plan_node *x = a, *y = b;

    return str_cmp(x->name, y->name);
}

struct plan_node *plan_node_of(const struct plan_nodes *ns, struct str name)
{
    const struct plan_node key = {.name = name};

    return ns->n ? bsearch(&key, ns->list, ns->n, sizeof(key), by_name) : NULL;
}

static size_t count_names(const struct plan_group *groups, size_t n)
{
    size_t names = 0;

    for (size_t i = 0; i < n; i++)
        names += groups[i].from_n;
    return names;
}

static void add_name(struct plan_nodes *ns, struct str name)
{
    ns->list[ns->n++].name = name;
}

/* What is no text is not asked for, and refused later. */
static void add_written(struct plan_nodes *ns, struct str name, struct str payload)
{
    bool bad = !str_utf8(payload, NULL) || str_find(payload, '\0', NULL);

    ns->list[ns->n++] = (struct plan_node){.name = name, .given = bad ? STR("") : payload};
}

static void add_groups(struct plan_nodes *ns, const struct plan_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < groups[i].from_n; j++)
            add_name(ns, groups[i].from[j]);
}

static void gather(struct plan_nodes *ns, const struct plan_write *req)
{
    size_t n = req->checks_n + req->stages_n + req->expect_n, kept = 0;

    for (size_t i = 0; i < req->checks_n; i++)
        n += count_names(req->checks[i].groups, req->checks[i].groups_n);
    for (size_t i = 0; i < req->stages_n; i++)
        n += count_names(req->stages[i].groups, req->stages[i].groups_n) +
             req->stages[i].assignments_n;
    ns->list = ARENA_ARRAY(ns->tx->arena, struct plan_node, n);
    for (size_t i = 0; i < req->checks_n; i++) {
        add_written(ns, req->checks[i].name, req->checks[i].options);
        add_groups(ns, req->checks[i].groups, req->checks[i].groups_n);
    }
    for (size_t i = 0; i < req->stages_n; i++) {
        add_written(ns, req->stages[i].name,
                    req->stages[i].args.n ? req->stages[i].args : STR("null"));
        add_groups(ns, req->stages[i].groups, req->stages[i].groups_n);
        for (size_t j = 0; j < req->stages[i].assignments_n; j++)
            add_name(ns, req->stages[i].assignments[j].check);
    }
    for (size_t i = 0; i < req->expect_n; i++)
        add_name(ns, req->expect[i].name);
    if (ns->n)
        qsort(ns->list, ns->n, sizeof(*ns->list), by_name);
    for (size_t i = 0; i < ns->n; i++)
        if (i == 0 || by_name(&ns->list[i], &ns->list[kept - 1]))
            ns->list[kept++] = ns->list[i];
        else if (ns->list[i].given.n)
            ns->list[kept - 1].given = ns->list[i].given;
    ns->n = kept;
}

int plan_nodes_read(struct plan_nodes *ns, const struct plan_write *req)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    gather(ns, req);
    for (size_t i = 0; i < ns->n; i++)
        if (!str_utf8(ns->list[i].name, NULL) || str_find(ns->list[i].name, '\0', NULL))
            return tx_refuse(ns->tx, CODE_INVALID, "a name is not UTF-8 without NUL");
    for (size_t i = 0; i < ns->n; i++)
        SETS_ADD(&sets, ns->tx->arena, INT(ns->run), TEXT(ns->list[i].name),
                 TEXT(ns->list[i].given.n ? ns->list[i].given : STR("")));
    r = sets_run(&sets, ns->tx, STMT_plan_named, 3, &rows);
    for (size_t i = 0; !r && i < rows.n; i++) {
        const struct cell *c = rows.cells + i * rows.columns + ROW_TASK_COLUMNS;
        struct plan_node *node = plan_node_of(ns, row_text(&rows, i, 3));

        if (!node)
            return tx_damaged(ns->tx, "run %" PRId64 " answers a name that nobody asked for",
                              ns->run);
        node->found = true;
        r = row_task(ns->tx, &rows, i, &node->row);
        node->id = node->row.id;
        node->check = node->row.gate == GATE_CHECK;
        node->kind = c[0].s;
        node->needs = c[1].s;
        node->goals = c[2].s;
        node->accept_us = c[6].i;
        node->progress_us = c[7].i;
        node->version = c[8].i;
        node->same_payload = c[9].i;
    }
    return r ? fault(r) : 0;
}

static int by_check(const void *a, const void *b)
{
    const struct plan_node *const *x = a, *const *y = b;

    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

int plan_nodes_sides(struct plan_nodes *ns)
{
    struct plan_node **checks = ARENA_ARRAY(ns->tx->arena, struct plan_node *, ns->n), **found;
    struct sets sets = {0};
    struct rows rows;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < ns->n; i++)
        if (ns->list[i].found && ns->list[i].check) {
            checks[n++] = &ns->list[i];
            SETS_ADD(&sets, ns->tx->arena, INT(ns->list[i].id));
        }
    if (n)
        qsort(checks, n, sizeof(*checks), by_check);
    r = sets_run(&sets, ns->tx, STMT_plan_groups, 1, &rows);
    for (size_t i = 0; !r && i < rows.n; i++) {
        struct plan_node key, *key_at = &key;
        struct plan_side *side;
        struct group_row g;

        r = row_group(ns->tx, &rows, i, &g);
        key.id = g.task;
        found = bsearch(&key_at, checks, n, sizeof(*checks), by_check);
        if (r || !found)
            break;
        side = g.role == GROUP_ROLE_PLAN ? &(*found)->plan : &(*found)->final;
        *side = (struct plan_side){.id = g.id, .total = g.group.total, .met = !g.waiting};
    }
    return r ? fault(r) : 0;
}

void plan_nodes_edge(struct plan_nodes *ns, int64_t from, int64_t to)
{
    ARENA_ROOM(ns->tx->arena, ns->edges, ns->edges_n, ns->edges_cap, 64);
    ns->edges[ns->edges_n++] = (struct plan_edge){from, to};
}

static size_t unique(int64_t *list, size_t n)
{
    size_t kept = 0;

    if (n)
        qsort(list, n, sizeof(*list), sets_by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || list[i] != list[kept - 1])
            list[kept++] = list[i];
    return kept;
}

static uint32_t place_of(const int64_t *ids, size_t n, int64_t id)
{
    return (uint32_t)((const int64_t *)bsearch(&id, ids, n, sizeof(*ids), sets_by_number) - ids);
}

/* Ids as JSON, without those that the write makes; empty: there are none. */
static struct str old_ids(const struct plan_nodes *ns, int64_t *ids, size_t ids_n)
{
    struct arena *a = ns->tx->arena;
    int64_t *made = ARENA_ARRAY(a, int64_t, ns->n);
    size_t made_n = 0, n = 0;
    struct str text = {0};
    struct buf b;

    for (size_t i = 0; i < ns->n; i++)
        if (ns->list[i].written && !ns->list[i].found)
            made[made_n++] = ns->list[i].id;
    made_n = unique(made, made_n);
    ids_n = unique(ids, ids_n);
    buf_init(&b, ids_n * 21 + 3);
    buf_byte(&b, '[');
    for (size_t i = 0; i < ids_n; i++)
        if (!made_n || !bsearch(&ids[i], made, made_n, sizeof(*made), sets_by_number))
            buf_printf(&b, "%s%" PRId64, n++ ? "," : "", ids[i]);
    buf_byte(&b, ']');
    if (n)
        text = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return text;
}

/* What a cycle may need of the edges that were there before. It enters them where something old
 * waits for more than it did (a head), and leaves them where something waits for what is old (a
 * tail): all that waits for the heads is enough to see it, and so is all that the tails wait for.
 * Which of the two is less is not known before, so that both are tried as far as a little goes. */
static int old_edges(const struct plan_nodes *ns, struct rows *ret)
{
    int64_t *ids = ARENA_ARRAY(ns->tx->arena, int64_t, ns->edges_n);
    struct str heads, tails;
    int r;

    for (size_t i = 0; i < ns->edges_n; i++)
        ids[i] = ns->edges[i].to;
    heads = old_ids(ns, ids, ns->edges_n);
    for (size_t i = 0; i < ns->edges_n; i++)
        ids[i] = ns->edges[i].from;
    tails = old_ids(ns, ids, ns->edges_n);
    *ret = (struct rows){0};
    if (!heads.n || !tails.n)
        return 0;
    r = STORE_DO(ns->tx->store, STMT_plan_reach, ns->tx->arena, ret, TEXT(heads), INT(WALK_FIRST));
    if (!r && ret->n == WALK_FIRST)
        r = STORE_DO(ns->tx->store, STMT_plan_above, ns->tx->arena, ret, TEXT(tails),
                     INT(WALK_FIRST));
    if (!r && ret->n == WALK_FIRST)
        r = STORE_DO(ns->tx->store, STMT_plan_reach, ns->tx->arena, ret, TEXT(heads),
                     INT(INT64_MAX));
    return r ? fault(r) : 0;
}

static int refuse(struct plan_nodes *ns, const int64_t *ids, const uint32_t *cycle, uint32_t n)
{
    struct sets sets = {0};
    struct rows rows;
    struct buf b;
    int r = 0;

    buf_init(&b, (CYCLE_NAMES_MAX + 1) * (CHECK_NAME_BYTES_MAX + 10));
    for (uint32_t i = 0; !r && i < n && i < CYCLE_NAMES_MAX; i++) {
        int64_t id = ids[cycle[i]];
        struct str name = {0};

        for (size_t j = 0; j < ns->n; j++)
            if (ns->list[j].id == id)
                name = ns->list[j].name;
        SETS_ADD(&sets, ns->tx->arena, INT(id));
        if (!name.n)
            r = sets_run(&sets, ns->tx, STMT_task_names, 1, &rows);
        if (!r && !name.n && rows.n)
            name = row_text(&rows, 0, 1);
        sets.n = 0;
        buf_printf(&b, "%s\"%.*s\"", i ? " -> " : "", STR_ARG(name));
    }
    if (!r)
        tx_refuse(ns->tx, CODE_CYCLE, "these would wait for each other: %.*s%s",
                  STR_ARG(buf_str(&b)), n > CYCLE_NAMES_MAX ? " -> ..." : "");
    buf_deinit(&b);
    return r ? fault(r) : ENGINE_E_REFUSED;
}

int plan_nodes_cycle(struct plan_nodes *ns)
{
    struct arena *a = ns->tx->arena;
    struct rows old;
    struct graph_edge *edges;
    uint32_t *order, order_n;
    int64_t *ids;
    size_t n;
    int r = old_edges(ns, &old);

    if (r)
        return fault(r);
    ids = ARENA_ARRAY(a, int64_t, 2 * (ns->edges_n + old.n));
    edges = ARENA_ARRAY(a, struct graph_edge, ns->edges_n + old.n);
    for (size_t i = 0; i < ns->edges_n; i++) {
        ids[2 * i] = ns->edges[i].from;
        ids[2 * i + 1] = ns->edges[i].to;
    }
    for (size_t i = 0; i < old.n; i++) {
        ids[2 * (ns->edges_n + i)] = row_int(&old, i, 1);
        ids[2 * (ns->edges_n + i) + 1] = row_int(&old, i, 0);
    }
    n = unique(ids, 2 * (ns->edges_n + old.n));
    for (size_t i = 0; i < ns->edges_n; i++)
        edges[i] = (struct graph_edge){place_of(ids, n, ns->edges[i].from),
                                       place_of(ids, n, ns->edges[i].to)};
    for (size_t i = 0; i < old.n; i++)
        edges[ns->edges_n + i] = (struct graph_edge){place_of(ids, n, row_int(&old, i, 1)),
                                                     place_of(ids, n, row_int(&old, i, 0))};
    if (n == 0 || BROKEN(CIRCLE) ||
        !graph_order(a, (uint32_t)n, edges, ns->edges_n + old.n, &order, &order_n))
        return 0;
    return refuse(ns, ids, order, order_n);
}
