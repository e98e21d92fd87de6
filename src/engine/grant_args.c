/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant_args.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/sets.h"

/* Payloads that are read at first, and then twice as many each time: 1 000 are read by seven
 * statements, and of the largest no more than what a round takes. */
#define PAYLOADS_FIRST 16u
/* What the options of a round weigh together, each once; what is beyond is left out, like what does
 * not fit into a message. */
#define OPTIONS_BYTES_MAX (4 * (size_t)GRANT_BYTES_MAX)

static int read_some(struct tx *tx, const int64_t *ids, size_t n, struct str *ret)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, tx->arena, INT(i), INT(ids[i]));
    r = sets_run(&sets, tx, STMT_grant_payloads, 2, &rows);
    if (r)
        return fault(r);
    if (rows.n != n)
        return tx_damaged(tx, "of %zu tasks of a round %zu are there", n, rows.n);
    for (size_t i = 0; i < n; i++)
        ret[row_int(&rows, i, 0)] = row_text(&rows, i, 1);
    return 0;
}

int grant_payloads(struct tx *tx, const int64_t *ids, size_t n, size_t bytes_max, struct str *ret,
                   size_t *ret_n)
{
    size_t bytes = 0, kept = 0, some = PAYLOADS_FIRST;

    for (size_t at = 0; at < n; at += some, some *= 2) {
        int r;

        some = some < n - at ? some : n - at;
        r = read_some(tx, ids + at, some, ret + at);
        if (r)
            return fault(r);
        while (kept < at + some && (kept == 0 || bytes <= bytes_max))
            bytes += ret[kept++].n;
        if (kept < at + some || bytes > bytes_max)
            break;
    }
    *ret_n = kept;
    return 0;
}

/* A check whose options are read once, however many stages of the round are assigned to it. */
struct option {
    int64_t check;
    struct str json;
};

static int by_check(const void *a, const void *b)
{
    const struct option *x = a, *y = b;

    return (x->check > y->check) - (x->check < y->check);
}

struct options {
    struct option *list; /* by check; of those that were left out the JSON is empty */
    size_t n;
};

static int read_options(struct tx *tx, const struct rows *rows, struct options *ret)
{
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, rows->n);
    struct str *json;
    size_t n = 0, kept = 0;
    int r;

    for (size_t i = 0; i < rows->n; i++)
        ids[i] = row_int(rows, i, 1);
    qsort(ids, rows->n, sizeof(*ids), sets_by_number);
    for (size_t i = 0; i < rows->n; i++)
        if (i == 0 || ids[i] != ids[n - 1])
            ids[n++] = ids[i];
    json = ARENA_ARRAY(tx->arena, struct str, n);
    r = grant_payloads(tx, ids, n, OPTIONS_BYTES_MAX, json, &kept);
    if (r)
        return fault(r);
    *ret = (struct options){ARENA_ARRAY(tx->arena, struct option, n), n};
    for (size_t i = 0; i < n; i++)
        ret->list[i] = (struct option){ids[i], i < kept ? json[i] : STR("")};
    return 0;
}

static size_t count_checks(const struct rows *rows, size_t from)
{
    size_t end = from;

    while (end < rows->n && row_int(rows, end, 0) == row_int(rows, from, 0))
        end++;
    return end - from;
}

/* A check of a stage; options that do not fit into a message are left out. */
static void add_check(struct arena *a, const struct rows *rows, size_t i,
                      const struct options *options, size_t *bytes, struct grant_lease *l)
{
    const struct option key = {.check = row_int(rows, i, 1)};
    const struct option *o;
    struct str json;

    assert(options->list);
    o = bsearch(&key, options->list, options->n, sizeof(key), by_check);
    assert(o);
    json = o->json;
    if (!l->checks)
        l->checks = ARENA_ARRAY(a, struct grant_check, count_checks(rows, i));
    if (*bytes + json.n > GRANT_REQUEST_BYTES_MAX)
        json = STR("");
    *bytes += json.n;
    l->checks[l->checks_n++] = (struct grant_check){
        .name = row_text(rows, i, 2),
        .kind = row_text(rows, i, 3),
        .options = json,
        .goal = str_eq(row_text(rows, i, 4), STR("plan")) ? STR("PLANNED") : STR("FINAL"),
    };
}

static int by_lease_task(const void *a, const void *b)
{
    const struct grant_lease *const *x = a, *const *y = b;

    return ((*x)->lease.task > (*y)->lease.task) - ((*x)->lease.task < (*y)->lease.task);
}

int grant_checks(struct tx *tx, struct grant_leases *leases)
{
    struct grant_lease **by_task = ARENA_ARRAY(tx->arena, struct grant_lease *, leases->n);
    struct options options = {0};
    struct sets sets = {0};
    struct rows rows = {0};
    size_t bytes = 0;
    int r;

    for (size_t i = 0; i < leases->n; i++)
        by_task[i] = &leases->list[i];
    if (leases->n)
        qsort(by_task, leases->n, sizeof(struct grant_lease *), by_lease_task);
    for (size_t i = 0; i < leases->n; i++)
        SETS_ADD(&sets, tx->arena, INT(by_task[i]->lease.task));
    r = sets_run(&sets, tx, STMT_grant_checks, 1, &rows);
    if (!r && rows.n)
        r = read_options(tx, &rows, &options);
    if (r)
        return fault(r);
    /* They come by stage, as the stages do. */
    for (size_t i = 0, at = 0; i < rows.n; i++) {
        while (by_task[at]->lease.task != row_int(&rows, i, 0))
            at++;
        if (!by_task[at]->checks)
            bytes = by_task[at]->args.n;
        add_check(tx->arena, &rows, i, &options, &bytes, by_task[at]);
    }
    return 0;
}
