/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/fault.h"
#include "engine/grant_runner.h"
#include "engine/lane.h"
#include "engine/plan_edit.h"
#include "engine/plan_view.h"

#define CONFLICTS_SHOWN 20u

static int check_sizes(struct tx *tx, const struct plan_write *req)
{
    size_t edges = 0;

    if (req->checks_n + req->stages_n > PLAN_WRITE_TASKS_MAX || req->expect_n > PLAN_EXPECT_MAX)
        return tx_refuse(
            tx, CODE_TOO_LARGE,
            "a write has at most %u checks and stages and %u expectations, not %zu and "
            "%zu",
            PLAN_WRITE_TASKS_MAX, PLAN_EXPECT_MAX, req->checks_n + req->stages_n, req->expect_n);
    for (size_t i = 0; i < req->checks_n; i++)
        for (size_t j = 0; j < req->checks[i].groups_n; j++)
            edges += req->checks[i].groups[j].from_n;
    for (size_t i = 0; i < req->stages_n; i++) {
        edges += req->stages[i].assignments_n;
        for (size_t j = 0; j < req->stages[i].groups_n; j++)
            edges += req->stages[i].groups[j].from_n;
    }
    if (edges > PLAN_WRITE_EDGES_MAX)
        return tx_refuse(tx, CODE_TOO_LARGE,
                         "a write has at most %u dependencies and assignments, not %zu",
                         PLAN_WRITE_EDGES_MAX, edges);
    return 0;
}

int plan_lock(struct tx *tx, int64_t id, struct run_row *ret)
{
    struct rows rows;
    int r;

    r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(id));
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    r = row_run(tx, &rows, 0, ret);
    if (r)
        return fault(r);
    if (ret->version != 0)
        return tx_refuse(tx, CODE_INVALID,
                         "run %" PRId64 " is of a workflow: only plans can be written to", id);
    return 0;
}

/* Who writes has begun: a runner may write before the news of its accepting the stage is written.
 */
static int begin_writer(struct plan_edit *e)
{
    struct grant_plan plan;
    int r;

    if (e->writer.task.state != TASK_LEASED)
        return 0;
    r = grant_plans(e->tx, &e->writer.id, 1, &plan);
    if (r)
        return fault(r);
    change_start(&e->change, &e->writer, grant_progress_by(e->tx->now, plan.progress_us));
    return 0;
}

static int find_writer(struct plan_edit *e)
{
    const struct lease_ref *w = &e->req->writer;
    struct rows rows;
    int r;

    if (w->token == 0)
        return 0;
    r = STORE_DO(e->tx->store, STMT_task_lock, e->tx->arena, &rows, INT(w->task));
    if (r)
        return fault(r);
    if (rows.n)
        r = row_task(e->tx, &rows, 0, &e->writer);
    if (r)
        return fault(r);
    if (rows.n && e->writer.run != e->run->id)
        return tx_refuse(e->tx, CODE_PERMISSION_DENIED,
                         "the token of the writer is not of run %" PRId64, e->run->id);
    if (rows.n == 0 || e->writer.token != w->token || !task_held(e->writer.task.state))
        return tx_refuse(e->tx, CODE_LEASE_LOST, "the attempt that writes has ended");
    return begin_writer(e);
}

static int check_expectations(struct plan_edit *e)
{
    struct buf b;
    size_t n = 0;
    int r = 0;

    buf_init(&b, (CONFLICTS_SHOWN + 1) * (CHECK_NAME_BYTES_MAX + 100));
    for (size_t i = 0; i < e->req->expect_n; i++) {
        const struct plan_expect *x = &e->req->expect[i];
        const struct plan_node *node = plan_node_of(&e->nodes, x->name);
        int64_t version = node->found ? node->version : 0;

        if (version == x->version || BROKEN(VERSION))
            continue;
        if (n++ < CONFLICTS_SHOWN)
            buf_printf(&b, "%s\"%.*s\" has version %" PRId64 ", not %" PRId64, n > 1 ? ", " : "",
                       ROW_SHOWN(x->name), version, x->version);
    }
    if (n)
        r = tx_refuse(e->tx, CODE_VERSION_CONFLICT, "%.*s%s", STR_ARG(buf_str(&b)),
                      n > CONFLICTS_SHOWN ? ", and more" : "");
    buf_deinit(&b);
    return r;
}

static int read_wishes(struct plan_edit *e, struct plan_wish *wishes)
{
    const struct plan_write *req = e->req;
    int r = 0;

    for (size_t i = 0; !r && i < req->checks_n; i++)
        r = plan_wish_check(e, &req->checks[i], &wishes[i]);
    for (size_t i = 0; !r && i < req->stages_n; i++)
        r = plan_wish_stage(e, &req->stages[i], &wishes[req->checks_n + i]);
    return r;
}

/* Ids for all that may be made; what is made comes in the order of the request. */
static int draw_ids(struct plan_edit *e, const struct plan_wish *wishes, size_t n)
{
    size_t ids_n = 1, made = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        ids_n += plan_wish_ids(&wishes[i]);
    for (size_t i = 0; i < e->nodes.n; i++)
        ids_n += e->nodes.list[i].found && e->nodes.list[i].check ? 2 : 0; /* its groups */
    e->ids = ARENA_ARRAY(e->tx->arena, int64_t, ids_n);
    r = store_ids(e->tx->store, ids_n, e->ids);
    for (size_t i = 0; !r && i < n; i++)
        if (!wishes[i].node->found) {
            wishes[i].node->id = *e->ids++;
            made++;
        }
    if (!r && e->run->tasks + (int64_t)made > (int64_t)DEFINITION_TASKS_MAX)
        return tx_refuse(e->tx, CODE_TOO_LARGE,
                         "run %" PRId64 " has %" PRId64 " tasks of at most %u; %zu more do not fit",
                         e->run->id, e->run->tasks, DEFINITION_TASKS_MAX, made);
    return r ? fault(r) : 0;
}

/* Those that waited for the names that are now written. */
static int bind_wanted(struct plan_edit *e)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < e->nodes.n; i++)
        if (e->nodes.list[i].written && !e->nodes.list[i].found)
            SETS_ADD(&sets, e->tx->arena, INT(e->run->id), TEXT(e->nodes.list[i].name));
    r = sets_run(&sets, e->tx, STMT_wanted_take, 2, &rows);
    for (size_t i = 0; !r && i < rows.n; i++) {
        const struct plan_node *n = plan_node_of(&e->nodes, row_text(&rows, i, 0));

        if (BROKEN(UNBOUND))
            continue;
        SETS_ADD(&e->edges, e->tx->arena, INT(n->id), INT(row_int(&rows, i, 1)));
        plan_nodes_edge(&e->nodes, n->id, row_int(&rows, i, 2));
    }
    return r ? fault(r) : 0;
}

/* The stages that a running one adds are awaited by it. */
static int spawn(struct plan_edit *e, const struct plan_wish *wishes, size_t n)
{
    struct arena *a = e->tx->arena;
    struct group_row g = {0};
    int64_t added = 0;
    struct rows rows;
    int r;

    for (size_t i = 0; e->writer.id && i < n; i++)
        added += !wishes[i].check && !wishes[i].node->found;
    if (added == 0)
        return 0;
    r = STORE_DO(e->tx->store, STMT_plan_groups, a, &rows, INT(e->writer.id));
    if (!r && rows.n)
        r = row_group(e->tx, &rows, 0, &g);
    if (r)
        return fault(r);
    if (rows.n) {
        SETS_ADD(&e->side_puts, a, INT(g.id), INT(g.group.total + added), TEXT(STR("WAITING")));
    } else {
        g = (struct group_row){.id = *e->ids++};
        SETS_ADD(&e->groups, a, INT(g.id), INT(e->run->id), INT(e->writer.id),
                 TEXT(group_rule_text(GROUP_ALL_DONE)), INT(0), INT(added), INT(0), INT(0),
                 TEXT(STR("WAITING")), TEXT(group_role_text(GROUP_ROLE_SPAWNED)), INT(0),
                 TEXT(STR("")));
    }
    for (size_t i = 0; i < n; i++)
        if (!wishes[i].check && !wishes[i].node->found) {
            SETS_ADD(&e->edges, a, INT(wishes[i].node->id), INT(g.id));
            plan_nodes_edge(&e->nodes, wishes[i].node->id, e->writer.id);
        }
    if (g.waiting)
        return 0;
    r = STORE_PUT(e->tx->store, STMT_plan_spawning, INT(e->writer.id),
                  INT(e->writer.groups_open + 1));
    return r ? fault(r) : 0;
}

/* Results come last: the checks stand there by then, with their conclusions to come. */
static int tell(struct plan_edit *e)
{
    const struct plan_write *req = e->req;
    struct check_wanted *wanted = ARENA_ARRAY(e->tx->arena, struct check_wanted, req->checks_n);
    struct check_names names;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < req->checks_n; i++)
        if (req->checks[i].result)
            wanted[n++] = (struct check_wanted){e->run->id, req->checks[i].name};
    r = check_find(e->tx, wanted, n, &names);
    for (size_t i = 0; !r && i < req->checks_n; i++) {
        const struct plan_check *c = &req->checks[i];
        struct check_update update;
        struct check_teller teller = {e->run->id, c->owner, req->writer.token};

        if (!c->result)
            continue;
        update = *c->result;
        update.check = c->name;
        if (!c->owner.n && e->writer.id)
            teller.owner = str_printf(e->tx->arena, STR_FMT ":%" PRId64, STR_ARG(e->writer.name),
                                      e->writer.task.attempts);
        if (c->owner.n > CHECK_OWNER_BYTES_MAX || !str_utf8(c->owner, NULL) ||
            str_find(c->owner, '\0', NULL))
            return tx_refuse(e->tx, CODE_INVALID,
                             "the owner of a result has at most %u bytes of UTF-8 without NUL",
                             CHECK_OWNER_BYTES_MAX);
        teller.owner = teller.owner.n ? teller.owner : STR("");
        r = check_ask(e->tx, &names, e->run->id, &update, 1);
        if (!r)
            check_note(&e->change, &names, &teller, &update, 1);
    }
    return r ? r : check_write(&e->change, &names);
}

static int check_open(struct plan_edit *e, const struct plan_wish *wishes, size_t n)
{
    bool makes = e->edited;

    for (size_t i = 0; i < n; i++)
        makes |= !wishes[i].node->found;
    if (run_final(e->run->state))
        return tx_refuse(e->tx, CODE_RUN_ENDED, "run %" PRId64 " has ended: %s", e->run->id,
                         run_state_text(e->run->state).p);
    if (makes && !e->run->growing && !BROKEN(UNSEALED))
        return tx_refuse(e->tx, CODE_RUN_SEALED,
                         "run %" PRId64 " is sealed: nothing can be added or edited", e->run->id);
    return 0;
}

static int apply(struct plan_edit *e, const struct plan_wish *wishes, size_t n)
{
    int r = check_open(e, wishes, n);

    if (!r)
        r = draw_ids(e, wishes, n);
    if (!r)
        r = plan_nodes_sides(&e->nodes);
    for (size_t i = 0; !r && i < n; i++)
        r = plan_wish_apply(e, &wishes[i]);
    for (size_t i = 0; !r && i < n; i++)
        r = plan_wish_assign(e, &wishes[i]);
    if (!r)
        r = check_open(e, wishes, n); /* by now it is known what is edited */
    if (!r)
        r = plan_edit_drop(e);
    if (!r)
        r = bind_wanted(e);
    if (!r)
        r = spawn(e, wishes, n);
    if (!r)
        r = plan_nodes_cycle(&e->nodes);
    if (!r)
        r = plan_edit_write(e);
    if (!r)
        r = tell(e);
    if (!r)
        r = change_write(&e->change);
    return r;
}

int plan_write(struct tx *tx, const struct plan_write *req, struct plan_written *reply)
{
    size_t n = req->checks_n + req->stages_n;
    struct plan_wish *wishes = NULL;
    struct run_row run = {0};
    struct plan_edit e = {
        .tx = tx,
        .req = req,
        .run = &run,
        .nodes = {.tx = tx, .run = req->run},
    };
    int r = check_sizes(tx, req);

    if (!r)
        r = plan_lock(tx, req->run, &run);
    if (r)
        return r;
    change_init(&e.change, tx);
    wishes = ARENA_ARRAY(tx->arena, struct plan_wish, n);
    r = find_writer(&e);
    if (!r)
        r = plan_nodes_read(&e.nodes, req);
    if (!r)
        r = check_expectations(&e);
    if (!r)
        r = read_wishes(&e, wishes);
    if (!r)
        r = apply(&e, wishes, n);
    if (!r)
        r = plan_view_written(tx, wishes, n, req->checks_n, reply);
    return r == ENGINE_E_REFUSED || !r ? r : fault(r);
}
