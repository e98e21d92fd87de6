/* SPDX-License-Identifier: Apache-2.0 */
/* Stages without a type: no runner is called for them, a worker claims them from their run. */
#include <inttypes.h>

#include "base/fault.h"
#include "engine/change.h"
#include "engine/plan.h"
#include "engine/row.h"

/* What a lease weighs in a reply, beside its arguments. */
#define LEASE_BYTES 256u

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int check(struct tx *tx, const struct task_claim *req)
{
    if (req->max < 1 || req->max > TASK_BATCH_MAX)
        return tx_refuse(tx, CODE_INVALID, "a claim takes 1 to %u tasks, not %" PRId64,
                         TASK_BATCH_MAX, req->max);
    if (!req->worker)
        return tx_refuse(tx, CODE_INVALID,
                         "worker: stages of a run are given to registered workers only");
    return 0;
}

static int lock_run(struct tx *tx, int64_t id)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(id));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", id);
    return 0;
}

/* The worker's slots that are free, once its row is locked. */
static int free_slots(struct tx *tx, int64_t incarnation, int64_t *ret)
{
    struct rows rows, busy;
    struct worker_row w;
    int r = STORE_DO(tx->store, STMT_worker_lock_many, tx->arena, &rows, INT(incarnation));

    if (!r)
        r = STORE_DO(tx->store, STMT_worker_busy, tx->arena, &busy, INT(incarnation));
    if (!r && rows.n)
        r = row_worker(tx, &rows, 0, &w);
    if (r)
        return fault(r);
    if (rows.n == 0 || worker_over(w.state))
        return tx_refuse(tx, CODE_WORKER_LOST,
                         "worker %" PRId64 " is over: register again, and stop what it held",
                         incarnation);
    /* A runner may have no limit of slots. */
    *ret = !worker_claims(w.state) ? 0 : w.slots ? w.slots : INT64_MAX;
    if (busy.n)
        *ret -= row_int(&busy, 0, 1);
    return 0;
}

static void take(struct change *c, const struct task_claim *req, struct task_row *row,
                 struct str args, int64_t token, struct task_leases *reply)
{
    int64_t now = c->tx->now;

    if (change_take(c, row, token, req->worker, 0))
        return;
    reply->list[reply->n++] = (struct task_lease){
        .task = row->id,
        .run = row->run,
        .token = token,
        .attempt = row->task.attempts,
        .timeout_us = row->timeout_us,
        .deadline_at = row->timeout_us ? now + row->timeout_us : 0,
        .started_at = now,
        .queue_wait_us = now > row->ready_at ? now - row->ready_at : 0,
        .priority = row->priority,
        .name = row->name,
        .payload = args,
    };
}

/* As many as a reply may weigh, the first one apart. */
static int take_all(struct tx *tx, const struct task_claim *req, const struct rows *rows,
                    struct task_leases *reply)
{
    int64_t *tokens = ARENA_ARRAY(tx->arena, int64_t, rows->n);
    struct change change;
    size_t bytes = 0;
    int r = rows->n ? store_ids(tx->store, rows->n, tokens) : 0;

    change_init(&change, tx);
    reply->list = ARENA_ARRAY(tx->arena, struct task_lease, rows->n);
    for (size_t i = 0; !r && i < rows->n; i++) {
        struct str args = row_text(rows, i, ROW_TASK_COLUMNS);
        struct task_row row;

        bytes += LEASE_BYTES + args.n;
        if (i > 0 && bytes > TASK_CLAIM_BYTES_MAX)
            break;
        r = row_task(tx, rows, i, &row);
        if (!r)
            take(&change, req, &row, args, tokens[i], reply);
    }
    if (!r)
        r = change_write(&change);
    return r ? fault(r) : 0;
}

int plan_claim(struct tx *tx, const struct task_claim *req, struct task_leases *reply)
{
    struct rows rows;
    int64_t room = 0;
    int r = check(tx, req);

    *reply = (struct task_leases){0};
    if (!r)
        r = lock_run(tx, req->run);
    if (!r)
        r = free_slots(tx, req->worker, &room);
    if (r)
        return r;
    reply->held = room <= 0;
    if (room <= 0)
        return 0;
    r = STORE_DO(tx->store, STMT_task_pull, tx->arena, &rows, INT(req->run),
                 INT(least(room, req->max)));
    if (!r)
        r = take_all(tx, req, &rows, reply);
    return r ? fault(r) : 0;
}
