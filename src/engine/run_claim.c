/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/fault.h"
#include "engine/row.h"
#include "engine/run.h"

/* The next runs with something to take, those behind `after` first. */
static int gather(struct tx *tx, int64_t after, struct run_shares *reply)
{
    const int64_t from[] = {after, 0};

    reply->list = ARENA_ARRAY(tx->arena, struct run_share, RUN_CLAIM_RUNS_MAX);
    for (size_t turn = 0; turn < (after ? 2 : 1); turn++) {
        struct rows rows;
        int r = STORE_DO(tx->store, STMT_run_claimable, tx->arena, &rows, INT(from[turn]),
                         INT(RUN_CLAIM_RUNS_MAX - (int64_t)reply->n));

        if (r)
            return fault(r);
        for (size_t i = 0; i < rows.n; i++) {
            int64_t run = row_int(&rows, i, 0);

            if (turn == 1 && run > after)
                break;
            reply->list[reply->n++] = (struct run_share){.run = run, .dir = row_text(&rows, i, 1)};
        }
        if (reply->n == RUN_CLAIM_RUNS_MAX)
            break;
    }
    return 0;
}

static int by_run(const void *a, const void *b)
{
    const struct run_share *x = a, *y = b;

    return (x->run > y->run) - (x->run < y->run);
}

/* All runs before any task or worker, and in the order of their ids, as everybody locks them. */
static int lock(struct tx *tx, struct run_shares *reply)
{
    struct rows rows;
    int r = 0;

    qsort(reply->list, reply->n, sizeof(*reply->list), by_run);
    for (size_t i = 0; !r && i < reply->n; i++)
        r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(reply->list[i].run));
    return r ? fault(r) : 0;
}

/* What a share took already and takes now, as one list. */
static void join(struct tx *tx, struct task_leases *leases, const struct task_leases *more)
{
    if (more->n == 0)
        return;
    leases->list = arena_grow(tx->arena, leases->list, leases->n * sizeof(*leases->list),
                              (leases->n + more->n) * sizeof(*leases->list));
    for (size_t i = 0; i < more->n; i++)
        leases->list[leases->n++] = more->list[i];
}

/* Each run up to `share` tasks, while there are slots. */
static int take(struct tx *tx, const struct run_claim *req, int64_t share, struct run_shares *reply)
{
    for (size_t i = 0; i < reply->n; i++) {
        struct run_share *s = &reply->list[i];
        int64_t left = req->max - (int64_t)reply->leases;
        struct task_claim claim = {
            .worker = req->worker, .run = s->run, .max = left < share ? left : share};
        struct task_leases taken;
        int r;

        if (left == 0)
            return 0;
        r = task_claim(tx, &claim, &taken);
        if (r)
            return r == ENGINE_E_REFUSED ? r : fault(r);
        join(tx, &s->leases, &taken);
        reply->leases += taken.n;
    }
    return 0;
}

int run_claim(struct tx *tx, const struct run_claim *req, struct run_shares *reply)
{
    int64_t share;
    int r;

    *reply = (struct run_shares){.after = req->after};
    if (req->max < 1 || req->max > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a claim takes 1 to %u tasks, not %lld", TASK_BATCH_MAX,
                         (long long)req->max);
    r = gather(tx, req->after, reply);
    if (r || reply->n == 0)
        return r ? fault(r) : 0;
    /* With fewer slots than runs, the first in turn get one each and the next claim goes on. */
    reply->more = reply->n == RUN_CLAIM_RUNS_MAX || reply->n > (size_t)req->max;
    if (reply->n > (size_t)req->max)
        reply->n = (size_t)req->max;
    reply->after = reply->list[reply->n - 1].run;
    share = req->max / (int64_t)reply->n;
    r = lock(tx, reply);
    if (!r)
        r = take(tx, req, share, reply);
    if (!r && (int64_t)reply->leases < req->max)
        r = take(tx, req, req->max, reply);
    return r == ENGINE_E_REFUSED ? r : r ? fault(r) : 0;
}

int run_adopt(struct tx *tx, const int64_t *id, void *unused)
{
    int r = STORE_DO(tx->store, STMT_run_adopt, tx->arena, NULL, INT(*id));

    (void)unused;
    if (r)
        return fault(r);
    tx_touch_run(tx, *id);
    return 0;
}
