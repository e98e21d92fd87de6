/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/duty.h"

#include "base/fault.h"

/* The token is drawn only by one that begins. */
static int mine(struct tx *tx, const struct duty_take *req, const struct rows *old, int64_t *ret)
{
    if (old->n && str_eq(row_text(old, 0, 0), req->holder) && row_int(old, 0, 2) > tx->now) {
        *ret = row_int(old, 0, 1);
        return 0;
    }
    return store_ids(tx->store, 1, ret);
}

/* Who has it; a program that is alone takes it from the dead first. */
static int look(struct tx *tx, const struct duty_take *req, struct rows *ret)
{
    int r = STORE_DO(tx->store, STMT_duty_get, tx->arena, ret, TEXT(req->name));

    if (r || !req->alone || ret->n == 0 || str_eq(row_text(ret, 0, 0), req->holder))
        return r;
    r = STORE_DO(tx->store, STMT_duty_leave, tx->arena, NULL, TEXT(req->name),
                 TEXT(row_text(ret, 0, 0)));
    ret->n = 0;
    return r;
}

int duty_take(struct tx *tx, const struct duty_take *req, struct duty_reply *reply)
{
    struct rows old, rows;
    int64_t token;
    int r = look(tx, req, &old);

    if (r)
        return fault(r);
    if (old.n && !str_eq(row_text(&old, 0, 0), req->holder) && row_int(&old, 0, 2) > tx->now) {
        *reply = (struct duty_reply){false, row_text(&old, 0, 0), row_int(&old, 0, 1),
                                     row_int(&old, 0, 2)};
        return 0;
    }
    r = mine(tx, req, &old, &token);
    if (!r)
        r = STORE_DO(tx->store, STMT_duty_take, tx->arena, &rows, TEXT(req->name),
                     TEXT(req->holder), INT(token), INT(tx->now), INT(tx->now + req->ttl_us));
    if (r)
        return fault(r);
    *reply = (struct duty_reply){.held = rows.n == 1, .holder = req->holder};
    if (rows.n) {
        reply->token = row_int(&rows, 0, 0);
        reply->expires_at = row_int(&rows, 0, 1);
    }
    return 0;
}

int duty_leave(struct tx *tx, const struct duty_take *req, void *unused)
{
    int r =
        STORE_DO(tx->store, STMT_duty_leave, tx->arena, NULL, TEXT(req->name), TEXT(req->holder));

    (void)unused;
    return r ? fault(r) : 0;
}
