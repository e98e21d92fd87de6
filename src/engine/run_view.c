/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at runs: one with its tasks, lists, outputs, and why.
 */
#include <inttypes.h>

#include "base/fault.h"
#include "engine/row.h"
#include "engine/run.h"
#include "engine/sets.h"
#include "engine/view.h"
#include "engine/why.h"

#define CHUNK    1000 /* tasks read at once */
#define LIST_MAX 1000

/* Attempts of tasks first … last of the views, given to each. */
static int read_attempts(struct tx *tx, struct task_view *views, const struct task_attempt *running,
                         size_t n)
{
    struct rows rows;
    size_t at = 0;
    int r;

    if (n == 0)
        return 0;
    r = STORE_DO(tx->store, STMT_attempt_of_tasks, tx->arena, &rows, INT(views[0].id),
                 INT(views[n - 1].id));
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        struct task_view *v = &views[i];
        size_t from;

        while (at < rows.n && row_int(&rows, at, 0) < v->id)
            at++;
        for (from = at; at < rows.n && row_int(&rows, at, 0) == v->id; at++)
            ;
        v->attempts = ARENA_ARRAY(tx->arena, struct task_attempt, at - from + 1);
        for (; from < at; from++) {
            r = view_attempt(tx, &rows, from, &v->attempts[v->attempts_n++]);
            if (r)
                return fault(r);
        }
        if (task_held(v->state))
            v->attempts[v->attempts_n++] = running[i];
    }
    return 0;
}

static int read_tasks(struct tx *tx, const struct run_get *req, struct run_view *reply)
{
    int64_t max = req->max ? req->max : reply->run.tasks, after = req->after;
    struct task_attempt *running = ARENA_ARRAY(tx->arena, struct task_attempt, CHUNK);

    reply->tasks = ARENA_ARRAY(tx->arena, struct task_view, (size_t)max);
    while ((int64_t)reply->tasks_n < max) {
        int64_t n = max - (int64_t)reply->tasks_n < CHUNK ? max - (int64_t)reply->tasks_n : CHUNK;
        struct task_view *views = reply->tasks + reply->tasks_n;
        struct rows rows;
        int r =
            STORE_DO(tx->store, STMT_run_views, tx->arena, &rows, INT(req->id), INT(after), INT(n));

        if (r)
            return fault(r);
        for (size_t i = 0; !r && i < rows.n; i++)
            r = view_task(tx, &rows, i, &views[i], &running[i]);
        if (!r)
            r = read_attempts(tx, views, running, rows.n);
        if (r)
            return fault(r);
        reply->tasks_n += rows.n;
        if ((int64_t)rows.n < n)
            break;
        after = views[rows.n - 1].id;
    }
    return 0;
}

int run_get(struct tx *tx, const struct run_get *req, struct run_view *reply)
{
    int r = run_read(tx, req->id, &reply->run);

    reply->tasks_n = 0;
    if (!r && req->tasks)
        r = read_tasks(tx, req, reply);
    return r;
}

int run_list(struct tx *tx, const struct run_list *req, struct run_rows *reply)
{
    enum run_state s;
    struct rows rows;
    int r;

    if (req->max < 1 || req->max > LIST_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d runs", LIST_MAX);
    if (req->state.n && !run_state_parse(req->state, &s))
        return tx_refuse(tx, CODE_INVALID,
                         "\"%.*s\" is no state of a run; there are RUNNING, CANCELLING, SUCCEEDED, "
                         "FAILED and CANCELLED",
                         STR_ARG(req->state));
    r = STORE_DO(tx->store, STMT_run_list, tx->arena, &rows, TEXT(req->state), TEXT(req->workflow),
                 INT(req->before), INT(req->max));
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct run_row, rows.n);
    for (reply->n = 0; !r && reply->n < rows.n; reply->n++)
        r = row_run(tx, &rows, reply->n, &reply->list[reply->n]);
    return r ? fault(r) : run_counts(tx, reply->list, reply->n);
}

int run_newest_open(struct tx *tx, const void *unused, struct run_row *reply)
{
    struct rows rows;
    int r = store_run(tx->store, STMT_run_newest_open, tx->arena, NULL, 1, &rows);

    (void)unused;
    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "every run has ended");
    r = row_run(tx, &rows, 0, reply);
    return r ? fault(r) : run_counts(tx, reply, 1);
}

int run_outputs(struct tx *tx, const struct run_outputs *req, struct run_outputs_reply *reply)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        SETS_ADD(&sets, tx->arena, INT(req->run), TEXT(req->names[i]));
    r = sets_run(&sets, tx, STMT_run_output, 2, &rows);
    if (r)
        return fault(r);
    reply->n = req->n;
    reply->outputs = ARENA_ARRAY(tx->arena, struct str, req->n);
    for (size_t i = 0; i < req->n; i++)
        for (size_t j = 0; j < rows.n; j++)
            if (str_eq(row_text(&rows, j, 0), req->names[i]))
                reply->outputs[i] = row_text(&rows, j, 1);
    return 0;
}

int run_why(struct tx *tx, const int64_t *id, struct run_why *reply)
{
    struct rows rows;
    int r;

    *reply = (struct run_why){0};
    r = run_read(tx, *id, &reply->run);
    if (r)
        return r;
    r = STORE_DO(tx->store, STMT_run_open_views, tx->arena, &rows, INT(*id), INT(WHY_NAMES_MAX));
    if (r)
        return fault(r);
    reply->tasks = ARENA_ARRAY(tx->arena, struct task_details, rows.n);
    for (size_t i = 0; !r && i < rows.n; i++) {
        r = task_get(tx, &(struct task_which){.id = row_int(&rows, i, 0)},
                     &reply->tasks[reply->tasks_n]);
        reply->tasks_n++;
    }
    if (!r)
        r = why_run(tx, reply);
    return r ? fault(r) : 0;
}
