/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/idempotency.h"

#include <errno.h>

#include "base/fault.h"

int idempotency_find(struct tx *tx, const struct idempotency *req, struct str *ret_reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_idempotency_get, tx->arena, &rows, TEXT(req->key),
                     TEXT(req->method));

    *ret_reply = (struct str){0};
    if (r)
        return fault(r);
    if (rows.n == 0)
        return 0;
    if (!str_eq(row_text(&rows, 0, 0), req->digest))
        return tx_refuse(tx, CODE_IDEMPOTENCY_CONFLICT,
                         "the idempotency key \"%.*s\" came with another request before",
                         STR_ARG(req->key));
    *ret_reply = row_text(&rows, 0, 1);
    return 0;
}

int idempotency_keep(struct tx *tx, const struct idempotency *req, struct str reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_idempotency_add, tx->arena, &rows, TEXT(req->key),
                     TEXT(req->method), TEXT(req->digest), TEXT(reply), INT(tx->now));

    if (r)
        return fault(r);
    return rows.changed == 1 ? 0 : fault(-EAGAIN);
}

int idempotency_sweep(struct tx *tx, const void *unused, struct idempotency_swept *reply)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_idempotency_sweep, tx->arena, &rows,
                     INT(tx->now - IDEMPOTENCY_KEPT_US), INT(IDEMPOTENCY_SWEEP));

    (void)unused;
    if (r)
        return fault(r);
    reply->n = rows.changed;
    reply->more = rows.changed == IDEMPOTENCY_SWEEP;
    return 0;
}
