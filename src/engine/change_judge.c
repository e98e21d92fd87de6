/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from ends: groups count them and are judged, and the tasks that wait for them move
 * on or are skipped.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "engine/change.h"
#include "engine/plan_follow.h"
#include "engine/sets.h"

static int by_group(const void *a, const void *b)
{
    const struct group_row *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

static int by_end(const void *a, const void *b)
{
    const struct change_end *x = a, *y = b;

    return (x->task > y->task) - (x->task < y->task);
}

/* Some of them: see change_met(). `scratch` holds the rows. */
static int unblock_some(struct change *c, const int64_t *tasks, size_t n, struct sets *locks,
                        struct sets *opens, struct arena *scratch)
{
    struct rows rows;
    size_t at = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        if (i == 0 || tasks[i] != tasks[i - 1])
            SETS_ADD(locks, c->tx->arena, INT(tasks[i]));
    r = store_run(c->tx->store, STMT_task_lock, scratch, locks->cells, locks->n, &rows);
    locks->n = 0;
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        struct task_row row;

        r = row_task(c->tx, &rows, i, &row);
        if (r)
            return fault(r);
        row.name = str_copy(c->tx->arena, row.name); /* its event outlives the rows */
        assert(at < n);
        if (tasks[at] != row.id)
            break;
        for (; at < n && tasks[at] == row.id; at++)
            row.groups_open--;
        if (row.groups_open > 0 || change_move(c, &row, TASK_MET, STR("")))
            SETS_ADD(opens, c->tx->arena, INT(row.id), INT(row.groups_open));
    }
    if (at < n)
        return tx_damaged(c->tx, "a group belongs to task %" PRId64 ", which is missing",
                          tasks[at]);
    r = sets_run(opens, c->tx, STMT_task_groups_open, 2, NULL);
    if (!r)
        r = change_write_rows(c);
    return r ? fault(r) : 0;
}

/* Tasks whose groups were met, each as often as groups of it were. Those with no open group left
 * move on. One end can let go of all tasks of a large run, so they are taken in chunks. */
int change_met(struct change *c, int64_t *tasks, size_t n)
{
    struct sets locks = {0}, opens = {0};
    struct arena scratch = {0};
    int r = 0;

    if (n)
        qsort(tasks, n, sizeof(*tasks), sets_by_number);
    for (size_t i = 0, j; !r && i < n; i = j) {
        for (j = i + SETS_CHUNK < n ? i + SETS_CHUNK : n; j < n && tasks[j] == tasks[j - 1]; j++)
            ;
        r = unblock_some(c, tasks + i, j - i, &locks, &opens, &scratch);
        arena_reset(&scratch);
    }
    arena_deinit(&scratch);
    return r ? fault(r) : 0;
}

/* A group that can never be met, and the end that decided it. */
struct dead_group {
    int64_t task, id, from;
};

static struct str skip_detail(struct change *c, const struct change_end *ends, size_t ends_n,
                              int64_t from)
{
    const struct change_end key = {.task = from}, *end = NULL;

    if (from && ends_n)
        end = bsearch(&key, ends, ends_n, sizeof(*ends), by_end);
    if (!end)
        return STR("");
    return str_printf(c->tx->arena, "%.*s is %s", STR_ARG(end->name),
                      task_state_text(end->state).p);
}

static int by_dead_task(const void *a, const void *b)
{
    const struct dead_group *x = a, *y = b;

    return (x->task > y->task) - (x->task < y->task);
}

static int by_dead(const void *a, const void *b)
{
    const struct dead_group *x = a, *y = b;

    return x->task == y->task ? (x->id > y->id) - (x->id < y->id) : by_dead_task(a, b);
}

/* One group for each task, its first: a task that waits for two of them is skipped once. */
static size_t first_dead(struct dead_group *dead, size_t n)
{
    size_t kept = 0;

    qsort(dead, n, sizeof(*dead), by_dead);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || dead[i].task != dead[i - 1].task)
            dead[kept++] = dead[i];
    return kept;
}

/* A check that is being planned may still be given other dependencies. */
static bool skippable(const struct task_row *row)
{
    return row->task.state == TASK_BLOCKED &&
           (row->task.reason != TASK_REASON_PLANNING || BROKEN(UPFRONT));
}

int change_skip_dead(struct change *c, struct sets *tasks)
{
    struct rows dead, rows;
    int r = sets_run(tasks, c->tx, STMT_group_dead, 1, &dead);

    for (size_t i = 0; !r && i < dead.n; i++) {
        struct task_row row;

        r = STORE_DO(c->tx->store, STMT_task_lock, c->tx->arena, &rows, INT(row_int(&dead, i, 0)));
        if (!r)
            r = row_task(c->tx, &rows, 0, &row);
        if (!r && skippable(&row))
            change_move(c, &row, TASK_SKIP, row_text(&dead, i, 1));
    }
    return r ? fault(r) : 0;
}

/* `dead` is sorted by task. */
static int skip(struct change *c, const struct dead_group *dead, size_t n,
                const struct change_end *ends, size_t ends_n)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, c->tx->arena, INT(dead[i].task));
    r = sets_run(&sets, c->tx, STMT_task_lock, 1, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++) {
        const struct dead_group *d;
        struct task_row row;

        r = row_task(c->tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (!skippable(&row))
            continue;
        d = bsearch(&(struct dead_group){.task = row.id}, dead, n, sizeof(*dead), by_dead_task);
        assert(d);
        change_move(c, &row, TASK_SKIP, skip_detail(c, ends, ends_n, d->from));
    }
    return 0;
}

/* A group counts the ends that its rows tell of, which stand together: where the next group begins.
 * What it has counted is left in its last row, which is the newest end's. */
static size_t count_ends(struct group_row *groups, size_t n, size_t i)
{
    size_t j;

    for (j = i; j < n && groups[j].id == groups[i].id; j++) {
        if (j > i)
            groups[j].group = groups[j - 1].group;
        groups[j].group.done += groups[j].from != 0;
        groups[j].group.succeeded += groups[j].succeeded;
    }
    return j;
}

/* What follows from verdicts, gathered while groups are judged. */
struct verdicts {
    int64_t *met; /* tasks */
    struct dead_group *dead;
    size_t met_n, dead_n;
    struct sets planned;
    struct plan_some *some; /* groups that fewer than all sufficed for */
    size_t some_n;
};

static void note_verdict(struct change *c, struct verdicts *v, const struct group_row *g,
                         enum group_verdict verdict)
{
    if (verdict == GROUP_IMPOSSIBLE)
        v->dead[v->dead_n++] = (struct dead_group){g->task, g->id, g->from};
    if (verdict != GROUP_MET)
        return;
    if (g->role == GROUP_ROLE_FINAL) {
        change_look(c, g->task);
        return;
    }
    v->met[v->met_n++] = g->task;
    if (g->role == GROUP_ROLE_PLAN)
        SETS_ADD(&v->planned, c->tx->arena, INT(g->task));
    if (plan_needs_some(&g->group))
        v->some[v->some_n++] = (struct plan_some){g->id, g->group.rule, g->cancel_rest};
}

static int follow(struct change *c, struct verdicts *v, const struct change_end *ends,
                  size_t ends_n)
{
    struct sets planned = v->planned;
    int r = plan_planned(c->tx, &v->planned);

    if (!r)
        r = plan_satisfied(c, v->some, v->some_n);
    if (!r)
        r = change_write_rows(c); /* what was cancelled is not let go as well */
    v->dead_n = first_dead(v->dead, v->dead_n);
    if (!r)
        r = change_met(c, v->met, v->met_n - (BROKEN(STUCK) && v->met_n > 1));
    if (!r)
        r = skip(c, v->dead, v->dead_n, ends, ends_n);
    if (!r && planned.n)
        r = change_write_rows(c); /* what was skipped just now is not skipped again */
    if (!r)
        r = change_skip_dead(c, &planned);
    return r ? fault(r) : 0;
}

static int judge(struct change *c, const struct rows *rows, const struct change_end *ends,
                 size_t ends_n)
{
    static const struct str texts[] = {
        {"WAITING",    7 },
        {"MET",        3 },
        {"IMPOSSIBLE", 10}
    };
    struct arena *a = c->tx->arena;
    struct group_row *groups = ARENA_ARRAY(a, struct group_row, rows->n);
    struct verdicts found = {
        .met = ARENA_ARRAY(a, int64_t, rows->n),
        .dead = ARENA_ARRAY(a, struct dead_group, rows->n),
        .some = ARENA_ARRAY(a, struct plan_some, rows->n),
    };
    struct sets sets = {0};
    int r = 0;

    for (size_t i = 0; !r && i < rows->n; i++)
        r = row_group(c->tx, rows, i, &groups[i]);
    if (r)
        return fault(r);
    qsort(groups, rows->n, sizeof(*groups), by_group);
    for (size_t i = 0; !r && i < rows->n;) {
        const struct group_row *g;
        enum group_verdict v = GROUP_WAITING;

        i = count_ends(groups, rows->n, i);
        g = &groups[i - 1];
        if (!group_sound(&g->group))
            return row_group_unsound(c->tx, g->task, &g->group);
        if (g->waiting)
            v = BROKEN(EARLY) && g->group.done ? GROUP_MET : group_judge(&g->group);
        note_verdict(c, &found, g, v);
        if (g->from || v != GROUP_WAITING)
            SETS_ADD(&sets, a, INT(g->id), INT(g->group.done), INT(g->group.succeeded),
                     TEXT(g->waiting ? texts[v] : g->verdict));
        if (sets.n == 4 * SETS_CHUNK)
            r = sets_run(&sets, c->tx, STMT_group_put, 4, NULL);
    }
    if (!r)
        r = sets_run(&sets, c->tx, STMT_group_put, 4, NULL);
    if (!r)
        r = follow(c, &found, ends, ends_n);
    return r ? fault(r) : 0;
}

int change_judge(struct change *c, const struct rows *groups)
{
    return judge(c, groups, NULL, 0);
}

/* They come by group. */
static struct str first_wanted(struct change *c, const struct rows *wanted, int64_t group)
{
    size_t low = 0, high = wanted->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (row_int(wanted, middle, 1) < group)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < wanted->n && row_int(wanted, low, 1) == group);
    return str_printf(c->tx->arena, STR_FMT " was never written",
                      STR_ARG(row_text(wanted, low, 0)));
}

int change_judge_missing(struct change *c, const struct rows *groups, const struct rows *wanted)
{
    struct group_row *list = ARENA_ARRAY(c->tx->arena, struct group_row, groups->n);
    struct sets sets = {0};
    int r = 0;

    for (size_t i = 0; !r && i < groups->n; i++)
        r = row_group(c->tx, groups, i, &list[i]);
    if (r)
        return fault(r);
    qsort(list, groups->n, sizeof(*list), by_group);
    for (size_t i = 0; i < groups->n; i++)
        if (list[i].waiting && group_judge(&list[i].group) == GROUP_IMPOSSIBLE)
            SETS_ADD(&sets, c->tx->arena, INT(list[i].id), INT(list[i].group.done),
                     INT(list[i].group.succeeded), TEXT(STR("IMPOSSIBLE")));
        else
            list[i].waiting = false;
    r = sets_run(&sets, c->tx, STMT_group_put, 4, NULL);
    for (size_t i = 0; !r && i < groups->n; i++) {
        struct task_row row;
        struct rows rows;

        if (!list[i].waiting)
            continue;
        r = STORE_DO(c->tx->store, STMT_task_lock, c->tx->arena, &rows, INT(list[i].task));
        if (!r)
            r = row_task(c->tx, &rows, 0, &row);
        if (!r && skippable(&row) &&
            !change_move(c, &row, TASK_SKIP, first_wanted(c, wanted, list[i].id)))
            r = change_write_rows(c); /* a second group of it skips it no more */
    }
    return r ? fault(r) : 0;
}

/* The groups that wait for tasks that ended count them. */
int change_release(struct change *c)
{
    struct change_end *ends = c->ends;
    size_t n = c->ends_n;
    struct sets sets = {0};
    struct rows rows;
    int r;

    if (n == 0)
        return 0;
    c->ends = NULL;
    c->ends_n = c->ends_cap = 0;
    qsort(ends, n, sizeof(*ends), by_end);
    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, c->tx->arena, INT(ends[i].task), INT(ends[i].succeeded));
    r = sets_run(&sets, c->tx, STMT_edge_groups, 2, &rows);
    if (!r && rows.n)
        r = judge(c, &rows, ends, n);
    return r ? fault(r) : 0;
}
