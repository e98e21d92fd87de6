/* SPDX-License-Identifier: Apache-2.0 */
/* Workers as people look at them. */
#include <inttypes.h>

#include "base/fault.h"
#include "core/placement.h"
#include "engine/labels.h"
#include "engine/row.h"
#include "engine/worker.h"

int worker_list(struct tx *tx, const void *unused, struct worker_rows *reply)
{
    struct rows rows;
    int r = store_run(tx->store, STMT_worker_live, tx->arena, NULL, 1, &rows);

    (void)unused;
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct worker_row, rows.n);
    for (reply->n = 0; !r && reply->n < rows.n; reply->n++)
        r = row_worker(tx, &rows, reply->n, &reply->list[reply->n]);
    return r ? fault(r) : 0;
}

/* A worker row, then reason, ended_at, labels, metadata, metrics, type, address, modes, version. */
static int read_view(struct tx *tx, const struct rows *rows, size_t i, struct worker_view *ret)
{
    const struct cell *c = rows->cells + i * rows->columns;
    int r;

    *ret = (struct worker_view){
        .reason = c[15].s,
        .ended_at = c[16].i,
        .metrics = c[19].s,
        .type = c[20].s,
        .address = c[21].s,
        .version = c[23].s,
    };
    r = row_worker(tx, rows, i, &ret->worker);
    if (r)
        return fault(r);
    if (!labels_parse(tx->arena, c[17].s, &ret->labels) ||
        !labels_parse(tx->arena, c[18].s, &ret->metadata))
        return tx_damaged(tx, "worker %" PRId64 " has labels that are no JSON object of texts",
                          ret->worker.incarnation);
    if (c[22].s.n && !placement_modes_parse(c[22].s, &ret->modes))
        return tx_damaged(tx, "worker %" PRId64 " has the modes \"%.*s\", which there are not",
                          ret->worker.incarnation, ROW_SHOWN(c[22].s));
    return 0;
}

int worker_get(struct tx *tx, const int64_t *incarnation, struct worker_view *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_worker_view, tx->arena, &rows, INT(*incarnation));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_WORKER_NOT_FOUND, "worker %" PRId64 " is not registered",
                         *incarnation);
    r = read_view(tx, &rows, 0, reply);
    return r ? fault(r) : 0;
}

int worker_page(struct tx *tx, const struct worker_page *req, struct worker_views *reply)
{
    struct rows rows;
    int r;

    *reply = (struct worker_views){0};
    if (req->max < 1 || req->max > WORKER_PAGE_MAX)
        return tx_refuse(tx, CODE_INVALID, "a page has 1 to %d workers", WORKER_PAGE_MAX);
    if (req->all)
        r = STORE_DO(tx->store, STMT_worker_page_all, tx->arena, &rows, INT(req->after),
                     TEXT(req->name), INT(req->max + 1), TEXT(req->type));
    else
        r = STORE_DO(tx->store, STMT_worker_page, tx->arena, &rows, INT(req->after),
                     TEXT(req->name), INT(req->max + 1), INT(tx->now), TEXT(req->type));
    if (r)
        return fault(r);
    reply->list = ARENA_ARRAY(tx->arena, struct worker_view, rows.n);
    for (size_t i = 0; !r && i < rows.n && i < (size_t)req->max; i++)
        r = read_view(tx, &rows, i, &reply->list[reply->n++]);
    if (rows.n > (size_t)req->max)
        reply->next = reply->list[reply->n - 1].worker.incarnation;
    return r ? fault(r) : 0;
}
