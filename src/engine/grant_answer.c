/* SPDX-License-Identifier: Apache-2.0 */
/* What runners answer to grants, and what keeps their leases meanwhile. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/grant.h"
#include "engine/grant_runner.h"
#include "engine/sets.h"

static int check_n(struct tx *tx, size_t n)
{
    if (n < 1 || n > GRANT_LEASES_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request names 1 to %u leases, not %zu",
                         GRANT_LEASES_MAX, n);
    return 0;
}

/* Tasks of leases, locked, found by id. `used` tells which have had their move in this request. */
struct held {
    struct task_row row;
    int64_t progress_us;
    bool used;
};

struct held_list {
    struct held *list;
    size_t n;
};

static int by_task(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return (x->row.id > y->row.id) - (x->row.id < y->row.id);
}

/* The ids of the tasks, each once, in order. */
static size_t sort_ids(int64_t *ids, size_t n)
{
    size_t kept = 0;

    qsort(ids, n, sizeof(*ids), sets_by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || ids[kept - 1] != ids[i])
            ids[kept++] = ids[i];
    return kept;
}

static int lock(struct tx *tx, int64_t *ids, size_t n, struct held_list *ret)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int r;

    *ret = (struct held_list){0};
    n = sort_ids(ids, n);
    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(ids[i]));
    r = sets_run(&sets, tx, STMT_task_lock, 1, &rows);
    if (r)
        return fault(r);
    *ret = (struct held_list){ARENA_ARRAY(tx->arena, struct held, rows.n), rows.n};
    for (size_t i = 0; !r && i < rows.n; i++) {
        ret->list[i] = (struct held){0};
        r = row_task(tx, &rows, i, &ret->list[i].row);
    }
    if (!r && rows.n)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_task);
    return r ? fault(r) : 0;
}

/* The task whose live lease this is, a stage that a runner was called for; NULL: none. */
static struct held *held_of(const struct held_list *held, struct lease_ref l)
{
    const struct held key = {.row.id = l.task};
    struct held *h = NULL;

    if (held->n)
        h = bsearch(&key, held->list, held->n, sizeof(*h), by_task);
    return h && l.token && h->row.token == l.token && h->row.gate == GRANT_GATE ? h : NULL;
}

static int64_t *ids_of(struct tx *tx, const struct grant_refs *req)
{
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, req->n);

    for (size_t i = 0; i < req->n; i++)
        ids[i] = req->list[i].task;
    return ids;
}

static int read_promises(struct tx *tx, struct held_list *held)
{
    struct grant_plan *plans = ARENA_ARRAY(tx->arena, struct grant_plan, held->n);
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, held->n);
    int r;

    for (size_t i = 0; i < held->n; i++)
        ids[i] = held->list[i].row.id;
    r = grant_plans(tx, ids, held->n, plans);
    for (size_t i = 0; !r && i < held->n; i++)
        held->list[i].progress_us = plans[i].progress_us;
    return r ? fault(r) : 0;
}

int grant_accept(struct tx *tx, const struct grant_refs *req, struct task_codes *reply)
{
    struct held_list held;
    struct change c;
    int r = check_n(tx, req->n);

    if (r)
        return r;
    r = lock(tx, ids_of(tx, req), req->n, &held);
    if (!r)
        r = read_promises(tx, &held);
    if (r)
        return fault(r);
    change_init(&c, tx);
    *reply = (struct task_codes){ARENA_ARRAY(tx->arena, enum code, req->n), req->n};
    for (size_t i = 0; i < req->n; i++) {
        struct held *h = held_of(&held, req->list[i]);

        reply->list[i] = h ? CODE_OK : CODE_LEASE_LOST;
        if (h && h->row.task.state == TASK_LEASED)
            change_start(&c, &h->row, grant_progress_by(tx->now, h->progress_us));
    }
    r = change_write(&c);
    return r ? fault(r) : 0;
}

static int check_refusals(struct tx *tx, const struct grant_refuse *req)
{
    int r = check_n(tx, req->n);

    for (size_t i = 0; !r && i < req->n; i++) {
        struct str s = req->list[i].message;

        if (s.n > GRANT_REASON_BYTES_MAX || !str_utf8(s, NULL) || str_find(s, '\0', NULL))
            r = tx_refuse(tx, CODE_INVALID,
                          "the reason why task %" PRId64
                          " was not taken is no UTF-8 of at most %u bytes without NUL",
                          req->list[i].lease.task, GRANT_REASON_BYTES_MAX);
    }
    return r;
}

int grant_refuse(struct tx *tx, const struct grant_refuse *req, struct task_codes *reply)
{
    struct grant_back *back;
    struct held_list held;
    struct change c;
    size_t back_n = 0;
    int64_t *ids;
    int r = check_refusals(tx, req);

    if (r)
        return r;
    ids = ARENA_ARRAY(tx->arena, int64_t, req->n);
    for (size_t i = 0; i < req->n; i++)
        ids[i] = req->list[i].lease.task;
    r = lock(tx, ids, req->n, &held);
    if (r)
        return fault(r);
    back = ARENA_ARRAY(tx->arena, struct grant_back, req->n);
    *reply = (struct task_codes){ARENA_ARRAY(tx->arena, enum code, req->n), req->n};
    for (size_t i = 0; i < req->n; i++) {
        struct held *h = held_of(&held, req->list[i].lease);

        reply->list[i] = h ? CODE_OK : CODE_LEASE_LOST;
        if (!h || h->used)
            continue;
        h->used = true;
        back[back_n++] = (struct grant_back){&h->row, req->list[i].reason, req->list[i].message};
    }
    change_init(&c, tx);
    r = grant_give_back(&c, back, back_n, NULL);
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

/* One lease of a request to keep, as the statement that says so answers it. */
static bool is_live(const struct cell *c, struct lease_ref l)
{
    return l.token && c[1].i == l.token && c[9].i == GRANT_GATE &&
           str_eq(c[10].s, task_state_text(TASK_RUNNING));
}

static size_t find(const struct rows *rows, int64_t task)
{
    size_t low = 0, high = rows->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (row_int(rows, middle, 0) < task)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int grant_keep(struct tx *tx, const struct grant_refs *req, struct grant_keeps *reply)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int64_t *ids;
    size_t n;
    int r = check_n(tx, req->n);

    if (r)
        return r;
    ids = ids_of(tx, req);
    n = sort_ids(ids, req->n);
    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(ids[i]));
    r = sets_run(&sets, tx, STMT_lease_lock, 1, &rows);
    if (r)
        return fault(r);
    *reply = (struct grant_keeps){ARENA_ARRAY(tx->arena, struct grant_kept, req->n), req->n};
    for (size_t i = 0; i < req->n; i++) {
        size_t at = find(&rows, req->list[i].task);
        const struct cell *c = rows.cells + at * rows.columns;

        reply->list[i] = (struct grant_kept){.code = CODE_LEASE_LOST};
        if (at == rows.n || c[0].i != req->list[i].task || !is_live(c, req->list[i]))
            continue;
        reply->list[i] = (struct grant_kept){.code = CODE_OK, .stop = c[2].i};
        SETS_ADD(&sets, tx->arena, INT(c[0].i), INT(tx->now + GRANT_KEEP_US), INT(c[7].i),
                 TEXT(c[8].s));
    }
    r = sets_run(&sets, tx, STMT_lease_put, 4, NULL);
    return r ? fault(r) : 0;
}

int grant_cancels(struct tx *tx, const int64_t *after, struct grant_cancels *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_grant_cancels, tx->arena, &rows, INT(*after),
                     INT(GRANT_CANCELS_MAX));

    if (r)
        return fault(r);
    *reply = (struct grant_cancels){ARENA_ARRAY(tx->arena, struct grant_cancel, rows.n), rows.n};
    for (size_t i = 0; i < rows.n; i++)
        reply->list[i] = (struct grant_cancel){
            .lease = {row_int(&rows, i, 0), row_int(&rows, i, 1)},
            .run = row_int(&rows, i, 2),
            .worker = row_int(&rows, i, 3),
            .runner = row_text(&rows, i, 4),
            .address = row_text(&rows, i, 5),
        };
    return 0;
}
