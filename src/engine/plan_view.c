/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_view.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "core/placement.h"
#include "engine/labels.h"
#include "engine/lane.h"
#include "engine/plan_follow.h"
#include "engine/view.h"

#define VIEW_COLUMNS 17

static int by_id(const void *a, const void *b)
{
    const struct task_view *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static const struct str check_states[] = {
    [PLAN_PLANNING] = {"PLANNING", 8},
    [PLAN_PLANNED] = {"PLANNED",  7},
    [PLAN_WAITING] = {"WAITING",  7},
    [PLAN_FINAL] = {"FINAL",    5}
};
#define CHECK_STATES_N (sizeof(check_states) / sizeof(*check_states))

struct str plan_check_state_text(enum plan_check_state s)
{
    assert(s < CHECK_STATES_N);
    return check_states[s];
}

enum plan_check_state plan_check_state(enum task_state s, bool planning)
{
    if (task_final(s))
        return PLAN_FINAL;
    if (s != TASK_BLOCKED)
        return PLAN_WAITING;
    return planning ? PLAN_PLANNING : PLAN_PLANNED;
}

static enum plan_check_state check_state(const struct task_view *v)
{
    return plan_check_state(v->state, str_eq(v->reason, task_reason_text(TASK_REASON_PLANNING)));
}

static int read_demand(struct tx *tx, struct str key, struct plan_view *p)
{
    struct placement_demand d;
    struct worker_label *list;

    p->labels = STR("{}");
    if (key.n == 0)
        return 0;
    if (!placement_demand_parse(tx->arena, key, &d))
        return tx_damaged(tx, "a stage has the demand \"%.*s\", which is none", ROW_SHOWN(key));
    p->type = d.type;
    p->async = d.mode == PLACEMENT_ASYNC;
    list = ARENA_ARRAY(tx->arena, struct worker_label, d.labels.n);
    for (size_t i = 0; i < d.labels.n; i++)
        list[i] = (struct worker_label){d.labels.list[i].name, d.labels.list[i].value};
    p->labels = labels_json(tx->arena, &(struct worker_labels){list, d.labels.n});
    return 0;
}

/* The columns that only checks and stages have; `payload` where it was read. */
static int read_plan(struct tx *tx, const struct cell *c, const struct str *payload,
                     struct task_view *v)
{
    struct plan_view *p = ARENA_NEW(tx->arena, struct plan_view);

    *p = (struct plan_view){
        .check = c[1].i == GATE_CHECK,
        .parent = c[6].i,
        .parent_name = c[7].s,
        .results_n = c[10].i,
    };
    v->version = c[0].i;
    v->plan = p;
    if (p->check) {
        p->check_state = check_state(v);
        p->kind = c[5].s;
        p->options = payload ? *payload : STR("");
        return 0;
    }
    p->args = payload ? *payload : STR("");
    p->timeout_us = c[3].i;
    p->retry = c[4].s;
    p->accept_us = c[8].i;
    p->progress_us = c[9].i;
    return read_demand(tx, c[2].s, p);
}

int plan_view_written(struct tx *tx, const struct plan_wish *wishes, size_t n, size_t checks_n,
                      struct plan_written *reply)
{
    struct task_view *views, *found = NULL;
    struct task_attempt running;
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(wishes[i].node->id));
    r = sets_run(&sets, tx, STMT_plan_shown, 1, &rows);
    if (r)
        return fault(r);
    views = ARENA_ARRAY(tx->arena, struct task_view, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        r = view_task_columns(tx, &rows, i, VIEW_COLUMNS, &views[i], &running);
        if (!r)
            r = read_plan(tx, rows.cells + i * rows.columns + VIEW_COLUMNS, NULL, &views[i]);
    }
    if (r)
        return fault(r);
    if (rows.n)
        qsort(views, rows.n, sizeof(*views), by_id);
    reply->checks = ARENA_ARRAY(tx->arena, struct task_view, checks_n);
    reply->stages = ARENA_ARRAY(tx->arena, struct task_view, n - checks_n);
    for (size_t i = 0; i < n; i++) {
        const struct task_view key = {.id = wishes[i].node->id};

        found = rows.n ? bsearch(&key, views, rows.n, sizeof(key), by_id) : NULL;
        if (!found)
            return tx_damaged(tx, "task %" PRId64 " was written and is not there", key.id);
        *(i < checks_n ? &reply->checks[i] : &reply->stages[i - checks_n]) = *found;
    }
    return 0;
}

/* Rows of several tasks, which come by task: where those of one begin and end. */
struct part {
    size_t from, to;
};

static struct part part_of(const struct rows *rows, int64_t task)
{
    struct part p = {0, rows->n};

    while (p.from < p.to) {
        size_t mid = p.from + (p.to - p.from) / 2;

        if (row_int(rows, mid, 0) < task)
            p.from = mid + 1;
        else
            p.to = mid;
    }
    for (p.to = p.from; p.to < rows->n && row_int(rows, p.to, 0) == task; p.to++)
        ;
    return p;
}

static void read_results(struct tx *tx, const struct rows *rows, struct part at,
                         struct plan_view *p)
{
    p->results = ARENA_ARRAY(tx->arena, struct check_result, at.to - at.from + 1);
    p->results_n = 0;
    for (size_t i = at.from; i < at.to; i++)
        p->results[p->results_n++] = (struct check_result){
            .id = row_int(rows, i, 1),
            .owner = row_text(rows, i, 2),
            .token = row_int(rows, i, 3),
            .data = row_text(rows, i, 4),
            .failed = row_text(rows, i, 5).n || row_text(rows, i, 6).n,
            .code = row_text(rows, i, 5),
            .message = row_text(rows, i, 6),
            .at = row_int(rows, i, 7),
            .final = row_int(rows, i, 8),
        };
}

static void read_goals(struct tx *tx, const struct rows *rows, struct part at, struct plan_view *p)
{
    p->assignments = ARENA_ARRAY(tx->arena, struct plan_assignment, at.to - at.from + 1);
    for (size_t i = at.from; i < at.to; i++)
        p->assignments[p->assignments_n++] = (struct plan_assignment){
            row_text(rows, i, 1), str_eq(row_text(rows, i, 2), STR("plan"))};
}

static int read_groups(struct tx *tx, const struct rows *rows, int64_t task, struct task_details *d)
{
    int r = 0;

    d->groups = ARENA_ARRAY(tx->arena, struct task_group, PLAN_GROUPS_MAX + 3);
    for (size_t i = 0; !r && i < rows->n && d->groups_n < PLAN_GROUPS_MAX + 3; i++) {
        struct group_row g;

        if (row_int(rows, i, 1) != task)
            continue;
        r = row_group(tx, rows, i, &g);
        d->groups[d->groups_n++] = (struct task_group){
            .rule = g.group.rule,
            .role = g.role,
            .cancel_rest = g.cancel_rest,
            .need = g.group.need,
            .total = g.group.total,
            .done = g.group.done,
            .succeeded = g.group.succeeded,
            .verdict = g.verdict,
            .satisfied = row_text(rows, i, 11),
        };
    }
    return r ? fault(r) : 0;
}

static int read_attempts(struct tx *tx, const struct rows *rows, struct part at,
                         const struct task_attempt *running, struct task_view *v)
{
    int r = 0;

    v->attempts = ARENA_ARRAY(tx->arena, struct task_attempt, at.to - at.from + 1);
    for (size_t i = at.from; !r && i < at.to; i++)
        r = view_attempt(tx, rows, i, &v->attempts[v->attempts_n++]);
    if (task_held(v->state))
        v->attempts[v->attempts_n++] = *running;
    return r ? fault(r) : 0;
}

/* All that stands elsewhere than in their rows. */
static int read_more(struct tx *tx, struct plan_page *page, const struct task_attempt *running)
{
    struct sets ids[4] = {{0}};
    struct rows attempts, groups, results, goals;
    int r;

    for (size_t i = 0; i < page->n; i++)
        for (size_t j = 0; j < 4; j++)
            SETS_ADD(&ids[j], tx->arena, INT(page->list[i].task.id));
    r = sets_run(&ids[0], tx, STMT_attempt_of_plan, 1, &attempts);
    if (!r)
        r = sets_run(&ids[1], tx, STMT_group_of_tasks, 1, &groups);
    if (!r)
        r = sets_run(&ids[2], tx, STMT_check_results, 1, &results);
    if (!r)
        r = sets_run(&ids[3], tx, STMT_plan_goals, 1, &goals);
    for (size_t i = 0; !r && i < page->n; i++) {
        struct task_details *d = &page->list[i];
        struct plan_view *p = d->task.plan;

        r = read_attempts(tx, &attempts, part_of(&attempts, d->task.id), &running[i], &d->task);
        if (!r)
            r = read_groups(tx, &groups, d->task.id, d);
        read_results(tx, &results, part_of(&results, d->task.id), p);
        read_goals(tx, &goals, part_of(&goals, d->task.id), p);
    }
    return r ? fault(r) : 0;
}

static bool known_state(struct str s)
{
    enum task_state state;

    return task_state_parse(s, &state) || str_index(s, check_states, CHECK_STATES_N, &(size_t){0});
}

static int check_query(struct tx *tx, const struct plan_query *req)
{
    if (req->max < 1 || req->max > PLAN_PAGE_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d tasks", PLAN_PAGE_MAX);
    if (req->names_n > PLAN_NAMES_MAX || req->kinds_n > PLAN_NAMES_MAX)
        return tx_refuse(tx, CODE_TOO_LARGE, "a query has at most %u names and kinds",
                         PLAN_NAMES_MAX);
    for (size_t i = 0; i < req->states_n; i++)
        if (!known_state(req->states[i]))
            return tx_refuse(tx, CODE_INVALID,
                             "\"%.*s\" is no state of a task, nor of a check: PLANNING, PLANNED, "
                             "WAITING, FINAL",
                             ROW_SHOWN(req->states[i]));
    return 0;
}

/* What a page weighs with this task, roughly. */
static size_t weight(const struct task_view *v)
{
    return v->plan->args.n + v->plan->options.n + v->output.n + 500;
}

int plan_query(struct tx *tx, const struct plan_query *req, struct plan_page *reply)
{
    struct task_attempt *running;
    struct run_row run;
    struct rows rows;
    size_t bytes = 0;
    int r = check_query(tx, req);

    *reply = (struct plan_page){0};
    if (!r)
        r = run_read(tx, req->run, &run);
    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_plan_page, tx->arena, &rows, INT(req->run), INT(req->after),
                 TEXT(plan_json_names(tx->arena, req->names, req->names_n)),
                 INT(req->only_checks   ? 1
                     : req->only_stages ? 2
                                        : 0),
                 TEXT(plan_json_names(tx->arena, req->kinds, req->kinds_n)),
                 TEXT(plan_json_names(tx->arena, req->states, req->states_n)), INT(req->max));
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct task_details, rows.n);
    running = ARENA_ARRAY(tx->arena, struct task_attempt, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        struct task_view *v = &reply->list[i].task;
        struct str payload = row_text(&rows, i, VIEW_COLUMNS + 11);

        r = view_task_columns(tx, &rows, i, VIEW_COLUMNS, v, &running[i]);
        if (!r)
            r = read_plan(tx, rows.cells + i * rows.columns + VIEW_COLUMNS, &payload, v);
        if (r)
            return fault(r);
        bytes += weight(v);
        if (i && bytes > PLAN_PAGE_BYTES_MAX)
            break;
        reply->n++;
    }
    if (reply->n && (reply->n < rows.n || (int64_t)rows.n == req->max))
        reply->next = reply->list[reply->n - 1].task.id;
    return read_more(tx, reply, running);
}

int plan_view_one(struct tx *tx, struct task_view *view)
{
    struct plan_view *p;
    struct str payload;
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_plan_one, tx->arena, &rows, INT(view->id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return 0;
    payload = row_text(&rows, 0, 11);
    r = read_plan(tx, rows.cells, &payload, view);
    if (r)
        return fault(r);
    p = view->plan;
    r = STORE_DO(tx->store, STMT_check_results, tx->arena, &rows, INT(view->id));
    if (r)
        return fault(r);
    read_results(tx, &rows, (struct part){0, rows.n}, p);
    r = STORE_DO(tx->store, STMT_plan_goals, tx->arena, &rows, INT(view->id));
    if (r)
        return fault(r);
    read_goals(tx, &rows, (struct part){0, rows.n}, p);
    return 0;
}
