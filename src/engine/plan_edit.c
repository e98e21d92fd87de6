/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_edit.h"

#include <inttypes.h>

#include "base/fault.h"
#include "engine/lane.h"
#include "engine/plan_follow.h"

static struct str text(struct str s)
{
    return s.n ? s : STR("");
}

size_t plan_wish_ids(const struct plan_wish *w)
{
    /* Itself, and of a check the groups of planning and conclusion. */
    return (w->check ? 3 : 1) + w->groups_n;
}

/* What its groups say of a task, before anything is written. */
struct outlook {
    int64_t open;
    bool impossible;
    struct str detail;
};

static int64_t count_ended(struct plan_edit *e, const struct plan_group *g, struct group *counts,
                           struct outlook *look)
{
    int64_t n = 0;

    for (size_t i = 0; i < g->from_n; i++) {
        const struct plan_node *from = plan_node_of(&e->nodes, g->from[i]);
        enum task_state s = from->row.task.state;

        if (!from->found || !task_final(s))
            continue;
        n++;
        counts->succeeded += s == TASK_SUCCEEDED;
        if (s != TASK_SUCCEEDED && !look->detail.n)
            look->detail = str_printf(e->tx->arena, STR_FMT " is %s", STR_ARG(from->name),
                                      task_state_text(s).p);
    }
    return n;
}

static void add_group(struct plan_edit *e, int64_t task, const struct plan_group *g,
                      struct outlook *look)
{
    static const struct str verdicts[] = {
        {"WAITING",    7 },
        {"MET",        3 },
        {"IMPOSSIBLE", 10}
    };
    struct arena *a = e->tx->arena;
    int64_t id = *e->ids++;
    struct group counts = {.rule = g->rule, .need = g->need, .total = (int64_t)g->from_n};
    enum group_verdict v;

    counts.done = count_ended(e, g, &counts, look);
    v = group_judge(&counts);
    look->open += v != GROUP_MET;
    look->impossible |= v == GROUP_IMPOSSIBLE;
    SETS_ADD(&e->groups, a, INT(id), INT(e->run->id), INT(task), TEXT(group_rule_text(g->rule)),
             INT(g->rule == GROUP_AT_LEAST ? g->need : 0), INT(counts.total), INT(counts.done),
             INT(counts.succeeded), TEXT(verdicts[v]), TEXT(group_role_text(GROUP_ROLE_START)),
             INT(g->cancel_rest), TEXT(STR("")));
    if (v == GROUP_MET && plan_needs_some(&counts)) {
        ARENA_ROOM(a, e->some, e->some_n, e->some_cap, 16);
        e->some[e->some_n++] = (struct plan_some){id, g->rule, g->cancel_rest};
    }
    for (size_t i = 0; i < g->from_n; i++) {
        const struct plan_node *from = plan_node_of(&e->nodes, g->from[i]);

        if (from->id == 0) {
            SETS_ADD(&e->wanted, a, INT(e->run->id), TEXT(from->name), INT(id));
            continue;
        }
        SETS_ADD(&e->edges, a, INT(from->id), INT(id));
        plan_nodes_edge(&e->nodes, from->id, task);
    }
}

static void add_side(struct plan_edit *e, struct plan_side *side, bool met)
{
    if (side->id)
        return;
    *side = (struct plan_side){.id = *e->ids++, .made = true, .met = met};
}

/* A task that was nothing before. */
static void add_event(struct plan_edit *e, const struct plan_wish *w, const struct task *t)
{
    static const struct str kinds[] = {
#define TASK_KIND(name) [TASK_##name] = {"task_" #name, sizeof("task_" #name) - 1},
        TASK_STATES(TASK_KIND)};
    struct arena *a = e->tx->arena;
    const struct plan_node *n = w->node;
    bool planning = t->reason == TASK_REASON_PLANNING;
    struct str check = STR("");

    if (w->check)
        check = str_printf(a, ",\"check\":\"" STR_FMT "\"",
                           STR_ARG(plan_check_state_text(plan_check_state(t->state, planning))));
    tx_event(e->tx, e->run->id, n->id, str_copy(a, n->name), kinds[t->state],
             str_printf(a, "{\"from\":\"\",\"reason\":\"%s\"" STR_FMT "}",
                        task_reason_text(t->reason).p, STR_ARG(check)));
}

static void add_turn(struct plan_edit *e, int64_t task, const struct outlook *look)
{
    if (look->open && !look->impossible)
        return;
    ARENA_ROOM(e->tx->arena, e->turns, e->turns_n, e->turns_cap, 16);
    e->turns[e->turns_n++] = (struct plan_turn){task, !look->impossible, look->detail};
}

static void make(struct plan_edit *e, const struct plan_wish *w)
{
    struct tx *tx = e->tx;
    struct plan_node *n = w->node;
    struct outlook look = {.open = w->planning};
    struct task core = {
        .state = TASK_BLOCKED,
        .reason = w->planning ? TASK_REASON_PLANNING : TASK_REASON_DEPENDENCIES,
        .taker = row_taker(w->gate),
    };

    for (size_t i = 0; i < w->groups_n; i++)
        add_group(e, n->id, &w->groups[i], &look);
    if (w->planning)
        add_side(e, &n->plan, false);
    if (look.open == 0)
        task_move(&core, TASK_MET, tx->now, NULL, tx->prng, NULL);
    else if (!w->planning) /* what is being planned may be given other dependencies */
        add_turn(e, n->id, &look);
    tx_count(tx, e->run->id, STR(""), core.state, 1);
    change_count(&e->change, e->run->id, core.state, 1);
    if (core.state == TASK_READY && w->check)
        change_look(&e->change, n->id);
    SETS_ADD(&e->tasks, tx->arena, INT(n->id), INT(e->run->id), TEXT(STR("")), TEXT(n->name),
             TEXT(task_state_text(core.state)), TEXT(task_reason_text(core.reason)),
             INT(w->priority), TEXT(text(w->retry)), INT(0), INT(look.open), INT(w->timeout_us),
             INT(core.state == TASK_READY ? tx->now : 0), INT(tx->now), INT(0), INT(w->gate),
             TEXT(text(w->key)), TEXT(STR("")), TEXT(text(w->payload)));
    SETS_ADD(&e->extras, tx->arena, INT(n->id), TEXT(text(w->kind)),
             INT(w->check ? 0 : e->writer.id), INT(w->accept_us), INT(w->progress_us),
             TEXT(text(w->needs)), TEXT(text(w->goals)));
    if (core.state == TASK_READY && w->gate == GATE_PUSHED)
        tx_push(tx);
    add_event(e, w, &core);
    e->made_n++;
}

static bool changed(const struct plan_wish *w)
{
    const struct plan_node *n = w->node;

    return !str_eq(w->kind, n->kind) || (w->payload.n && !n->same_payload) ||
           !str_eq(w->key, n->row.key) || !str_eq(w->retry, n->row.retry_text) || w->regroups ||
           w->gate != n->row.gate || w->timeout_us != n->row.timeout_us ||
           w->accept_us != n->accept_us || w->progress_us != n->progress_us ||
           w->priority != n->row.priority;
}

/* One that is READY may wait for somebody else now. */
static enum task_reason reason_after(const struct plan_wish *w)
{
    const struct task *t = &w->node->row.task;

    if (t->state != TASK_READY || w->gate == w->node->row.gate)
        return t->reason;
    return w->gate == GATE_PUSHED ? TASK_REASON_RUNNER : TASK_REASON_WORKER;
}

static void edit(struct plan_edit *e, const struct plan_wish *w)
{
    struct arena *a = e->tx->arena;
    struct plan_node *n = w->node;
    bool planning = n->row.task.reason == TASK_REASON_PLANNING;
    struct outlook look = {.open = n->row.groups_open};

    if (w->regroups) {
        look.open = planning;
        SETS_ADD(&e->drops, a, INT(n->id));
        for (size_t i = 0; i < w->groups_n; i++)
            add_group(e, n->id, &w->groups[i], &look);
    }
    if (planning && w->planned) {
        look.open--;
        n->plan.met = n->plan.put = true;
        SETS_ADD(&e->planned, a, INT(n->id));
    }
    if (changed(w) || look.open != n->row.groups_open) {
        SETS_ADD(&e->edits, a, INT(n->id), w->payload.n ? TEXT(w->payload) : NIL,
                 TEXT(text(w->key)), INT(w->gate), TEXT(text(w->retry)), INT(w->timeout_us),
                 INT(w->priority), INT(look.open), TEXT(task_reason_text(reason_after(w))));
        SETS_ADD(&e->extra_edits, a, INT(n->id), TEXT(text(w->kind)), INT(w->accept_us),
                 INT(w->progress_us), TEXT(text(w->needs)), TEXT(text(w->goals)));
        e->edited = true;
        if (w->gate == GATE_PUSHED) /* others may be able to take it now */
            tx_push(e->tx);
    }
    if (n->row.task.state == TASK_BLOCKED && (!planning || w->planned))
        add_turn(e, n->id, &look);
}

int plan_wish_apply(struct plan_edit *e, const struct plan_wish *w)
{
    if (w->node->found)
        edit(e, w);
    else
        make(e, w);
    return 0;
}

static int assign(struct plan_edit *e, const struct plan_wish *w, const struct plan_assignment *as)
{
    struct plan_node *check = plan_node_of(&e->nodes, as->check);
    struct plan_side *side = as->planned ? &check->plan : &check->final;

    if (!check->id)
        return tx_refuse(
            e->tx, CODE_TASK_NOT_FOUND,
            "stage \"%.*s\" is assigned to \"%.*s\", which is no check of run %" PRId64,
            STR_ARG(w->node->name), STR_ARG(as->check), e->run->id);
    if (!check->check)
        return tx_refuse(e->tx, CODE_INVALID,
                         "stage \"%.*s\" is assigned to \"%.*s\", which is a stage",
                         STR_ARG(w->node->name), STR_ARG(as->check));
    add_side(e, side, as->planned);
    side->added++;
    SETS_ADD(&e->edges, e->tx->arena, INT(w->node->id), INT(side->id));
    plan_nodes_edge(&e->nodes, w->node->id, check->id);
    return 0;
}

int plan_wish_assign(struct plan_edit *e, const struct plan_wish *w)
{
    int r = 0;

    if (w->node->found)
        return 0;
    for (size_t i = 0; !r && i < w->assignments_n; i++) {
        const struct plan_assignment *as = &w->assignments[i];

        for (size_t j = 0; j < i; j++)
            if (str_eq(as->check, w->assignments[j].check) &&
                as->planned == w->assignments[j].planned)
                return tx_refuse(e->tx, CODE_INVALID,
                                 "stage \"%.*s\" is assigned to \"%.*s\" twice",
                                 STR_ARG(w->node->name), STR_ARG(as->check));
        r = assign(e, w, as);
    }
    return r;
}

static void put_side(struct plan_edit *e, int64_t check, const struct plan_side *side,
                     enum group_role role)
{
    struct str verdict = role == GROUP_ROLE_PLAN && side->met ? STR("MET") : STR("WAITING");

    if (side->made)
        SETS_ADD(&e->groups, e->tx->arena, INT(side->id), INT(e->run->id), INT(check),
                 TEXT(group_rule_text(GROUP_ALL_DONE)), INT(0), INT(side->added), INT(0), INT(0),
                 TEXT(verdict), TEXT(group_role_text(role)), INT(0), TEXT(STR("")));
    else if (side->added || side->put)
        SETS_ADD(&e->side_puts, e->tx->arena, INT(side->id), INT(side->total + side->added),
                 TEXT(verdict));
}

static void put_sides(struct plan_edit *e)
{
    for (size_t i = 0; i < e->nodes.n; i++) {
        const struct plan_node *n = &e->nodes.list[i];

        put_side(e, n->id, &n->plan, GROUP_ROLE_PLAN);
        put_side(e, n->id, &n->final, GROUP_ROLE_FINAL);
    }
}

int plan_edit_drop(struct plan_edit *e)
{
    struct sets edges = e->drops, wanted = e->drops;
    int r = sets_run(&edges, e->tx, STMT_plan_needs_edges, 1, NULL);

    if (!r)
        r = sets_run(&wanted, e->tx, STMT_plan_needs_wanted, 1, NULL);
    if (!r)
        r = sets_run(&e->drops, e->tx, STMT_plan_needs_drop, 1, NULL);
    return r ? fault(r) : 0;
}

static int write_rows(struct plan_edit *e)
{
    int r = sets_run(&e->tasks, e->tx, STMT_task_add, 18, NULL);

    if (!r)
        r = sets_run(&e->extras, e->tx, STMT_plan_task_add, 7, NULL);
    if (!r)
        r = sets_run(&e->groups, e->tx, STMT_plan_group_add, 12, NULL);
    if (!r)
        r = sets_run(&e->edges, e->tx, STMT_edge_add, 2, NULL);
    if (!r)
        r = sets_run(&e->wanted, e->tx, STMT_wanted_add, 3, NULL);
    if (!r)
        r = sets_run(&e->side_puts, e->tx, STMT_plan_group_put, 3, NULL);
    if (!r)
        r = sets_run(&e->edits, e->tx, STMT_plan_edit, 9, NULL);
    if (!r)
        r = sets_run(&e->extra_edits, e->tx, STMT_plan_task_put, 6, NULL);
    if (!r)
        r = plan_planned(e->tx, &e->planned);
    if (!r && e->made_n)
        r = STORE_PUT(e->tx->store, STMT_run_grow, INT(e->run->id), INT(e->made_n));
    return r ? fault(r) : 0;
}

/* One by one: few tasks of a write are there before and move on by it. */
static int take_turn(struct plan_edit *e, const struct plan_turn *t)
{
    struct task_row row;
    struct rows rows;
    int r = STORE_DO(e->tx->store, STMT_task_lock, e->tx->arena, &rows, INT(t->task));

    if (!r)
        r = row_task(e->tx, &rows, 0, &row);
    if (r)
        return fault(r);
    change_move(&e->change, &row, t->met ? TASK_MET : TASK_SKIP, t->met ? STR("") : t->detail);
    return 0;
}

int plan_edit_write(struct plan_edit *e)
{
    struct sets planned = e->planned;
    int r;

    put_sides(e);
    r = write_rows(e);
    if (!r)
        r = plan_satisfied(&e->change, e->some, e->some_n);
    if (!r)
        r = change_write_rows(&e->change); /* what was cancelled does not move on as well */
    for (size_t i = 0; !r && i < e->turns_n; i++)
        r = take_turn(e, &e->turns[i]);
    if (!r)
        r = change_write_rows(&e->change); /* nor is what was skipped told of */
    if (!r)
        r = change_skip_dead(&e->change, &planned);
    if (!r)
        r = change_write_rows(&e->change);
    return r ? fault(r) : 0;
}
