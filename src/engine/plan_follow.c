/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_follow.h"

#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/fault.h"
#include "engine/sets.h"

bool plan_needs_some(const struct group *g)
{
    return g->total > 1 && g->rule != GROUP_ALL_SUCCESS && g->rule != GROUP_ALL_DONE;
}

struct str plan_json_names(struct arena *a, const struct str *names, size_t n)
{
    size_t bytes = 3;
    struct buf b;
    struct str s;

    for (size_t i = 0; i < n; i++)
        bytes += 6 * names[i].n + 3; /* a control character takes six bytes in JSON */
    buf_init(&b, bytes);
    buf_byte(&b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_byte(&b, ',');
        buf_json(&b, names[i]);
    }
    buf_byte(&b, ']');
    s = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return s;
}

static bool sufficed(const struct plan_some *g, enum task_state s)
{
    return g->rule == GROUP_ONE_DONE || BROKEN(SUFFICED) ? task_final(s) : s == TASK_SUCCEEDED;
}

/* Tasks that are not needed any more. */
struct rest {
    int64_t *list;
    size_t n, cap;
};

static void add_rest(struct change *c, struct rest *rest, int64_t task)
{
    ARENA_ROOM(c->tx->arena, rest->list, rest->n, rest->cap, 16);
    rest->list[rest->n++] = task;
}

/* The edges of one group, rows from … to. */
static int look(struct change *c, const struct plan_some *g, const struct rows *rows, size_t from,
                size_t to, struct sets *names, struct rest *rest)
{
    struct str *list = ARENA_ARRAY(c->tx->arena, struct str, to - from);
    size_t n = 0;

    for (size_t i = from; i < to; i++) {
        enum task_state s;

        if (!task_state_parse(row_text(rows, i, 3), &s))
            return tx_damaged(c->tx, "a task has the state \"%.*s\", which there is not",
                              ROW_SHOWN(row_text(rows, i, 3)));
        if (sufficed(g, s))
            list[n++] = row_text(rows, i, 2);
        else if (g->cancel_rest && !task_final(s) && !BROKEN(REST))
            add_rest(c, rest, row_int(rows, i, 1));
    }
    SETS_ADD(names, c->tx->arena, INT(g->group), TEXT(plan_json_names(c->tx->arena, list, n)));
    return 0;
}

/* Each once, though several groups may do without it. */
static int cancel(struct change *c, struct rest *rest)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    if (rest->n)
        qsort(rest->list, rest->n, sizeof(*rest->list), sets_by_number);
    for (size_t i = 0; i < rest->n; i++)
        if (i == 0 || rest->list[i] != rest->list[i - 1])
            SETS_ADD(&sets, c->tx->arena, INT(rest->list[i]));
    r = sets_run(&sets, c->tx, STMT_task_lock, 1, &rows);
    for (size_t i = 0; !r && i < rows.n; i++) {
        struct task_row row;

        r = row_task(c->tx, &rows, i, &row);
        if (!r)
            change_move(c, &row, TASK_CANCEL, STR("the others sufficed"));
    }
    return r ? fault(r) : 0;
}

int plan_satisfied(struct change *c, const struct plan_some *groups, size_t n)
{
    struct sets sets = {0}, names = {0};
    struct rest rest = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, c->tx->arena, INT(groups[i].group));
    r = sets_run(&sets, c->tx, STMT_group_edges, 1, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0, at = 0; !r && i < n; i++) { /* groups come by id, as the rows do */
        size_t from = at;

        while (at < rows.n && row_int(&rows, at, 0) == groups[i].group)
            at++;
        r = look(c, &groups[i], &rows, from, at, &names, &rest);
    }
    if (!r)
        r = sets_run(&names, c->tx, STMT_group_satisfied, 2, NULL);
    if (!r)
        r = cancel(c, &rest);
    return r ? fault(r) : 0;
}

int plan_planned(struct tx *tx, struct sets *tasks)
{
    struct rows rows = {0};
    int r = sets_run(tasks, tx, STMT_plan_planned, 1, &rows);

    for (size_t i = 0; !r && i < rows.n; i++)
        tx_event(tx, row_int(&rows, i, 1), row_int(&rows, i, 0), row_text(&rows, i, 2),
                 STR("task_BLOCKED"),
                 STR("{\"from\":\"BLOCKED\",\"reason\":\"waiting_for_dependencies\","
                     "\"check\":\"PLANNED\"}"));
    return r ? fault(r) : 0;
}
