/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lease.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/fault.h"
#include "engine/block.h"
#include "engine/grant.h"
#include "engine/grant_runner.h"
#include "engine/progress.h"
#include "engine/sets.h"

static int check(struct tx *tx, const struct lease_renew *req)
{
    if (req->n < 1 || req->n > LEASE_RENEW_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request renews 1 to %u leases, not %zu",
                         LEASE_RENEW_MAX, req->n);
    if (req->ttl_us && (req->ttl_us < LEASE_TTL_US_MIN || req->ttl_us > LEASE_TTL_US_MAX))
        return tx_refuse(tx, CODE_INVALID, "the ttl of a lease lies between 1 s and 7 days");
    for (size_t i = 0; i < req->n; i++) {
        const struct lease_progress *p = &req->list[i];

        if (p->percent < -1 || p->percent > 100)
            return tx_refuse(tx, CODE_INVALID,
                             "the percent of task %" PRId64 " is %d; it lies between 0 and 100",
                             p->lease.task, p->percent);
        if (p->message.n > LEASE_MESSAGE_BYTES_MAX)
            return tx_refuse(tx, CODE_TOO_LARGE,
                             "the message of task %" PRId64 " has %zu bytes; %u are allowed",
                             p->lease.task, p->message.n, LEASE_MESSAGE_BYTES_MAX);
        if (p->details.n > PROGRESS_DETAILS_BYTES_MAX)
            return tx_refuse(tx, CODE_TOO_LARGE,
                             "the details of task %" PRId64 " have %zu bytes; %u are allowed",
                             p->lease.task, p->details.n, PROGRESS_DETAILS_BYTES_MAX);
        if (!str_utf8(p->message, NULL) || str_find(p->message, '\0', NULL))
            return tx_refuse(tx, CODE_INVALID,
                             "the message of task %" PRId64 " is not UTF-8 without NUL",
                             p->lease.task);
    }
    return 0;
}

/* A held task of a request, found by its id. */
struct held {
    int64_t task, token, beat_until, expires_at, claim_ttl_us;
    int64_t percent;
    struct str message;
    int64_t progress_us; /* its holder promised to be heard of so often; 0: it did not */
    bool stop, guest, told;
    bool planned; /* it is a stage, of this run: */
    int64_t run;
    struct str name;
    struct progress progress; /* what it was told now; at 0: nothing */
};

static int by_task(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return (x->task > y->task) - (x->task < y->task);
}

/* What the runner of a stage promised, once it has begun: until then its lease waits for that. */
static int64_t promised(const struct rows *rows, size_t i)
{
    bool begun = row_int(rows, i, 9) == GRANT_GATE &&
                 str_eq(row_text(rows, i, 10), task_state_text(TASK_RUNNING));

    return begun ? row_int(rows, i, 11) : 0;
}

/* Lock the tasks that are named, in the order of their ids. */
static int lock(struct tx *tx, const struct lease_renew *req, struct held **ret, size_t *ret_n)
{
    struct held *named = ARENA_ARRAY(tx->arena, struct held, req->n);
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, req->n);
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        ids[i] = req->list[i].lease.task;
    r = block_open(tx, ids, req->n);
    if (r)
        return fault(r);
    for (size_t i = 0; i < req->n; i++)
        named[i] = (struct held){.task = req->list[i].lease.task};
    qsort(named, req->n, sizeof(*named), by_task);
    for (size_t i = 0; i < req->n; i++)
        if (i == 0 || named[i].task != named[i - 1].task)
            SETS_ADD(&sets, tx->arena, INT(named[i].task));
    r = sets_run(&sets, tx, STMT_lease_lock, 1, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        named[i] = (struct held){
            .task = row_int(&rows, i, 0),
            .token = row_int(&rows, i, 1),
            .stop = row_int(&rows, i, 2),
            .guest = str_eq(row_text(&rows, i, 3), WORKER_GUEST),
            .beat_until = row_int(&rows, i, 4),
            .expires_at = row_int(&rows, i, 5),
            .claim_ttl_us = row_int(&rows, i, 6),
            .percent = row_int(&rows, i, 7),
            .message = row_text(&rows, i, 8),
            .progress_us = promised(&rows, i),
            .planned = row_int(&rows, i, 9) >= GRANT_GATE,
            .run = row_int(&rows, i, 12),
            .name = row_text(&rows, i, 13),
        };
    *ret = named;
    *ret_n = rows.n;
    return 0;
}

static void renew(struct held *h, const struct lease_progress *p, int64_t ttl_us, int64_t now)
{
    int64_t until = now + (ttl_us ? ttl_us : h->claim_ttl_us);

    if (h->progress_us)
        until = grant_progress_by(now, h->progress_us);
    if ((h->guest || h->progress_us) && (until > h->expires_at || BROKEN(SHORTER))) {
        h->expires_at = until;
        h->told = !BROKEN(RENEWAL);
    }
    if (p->percent >= 0)
        h->percent = p->percent;
    if (p->message.n)
        h->message = p->message;
    if (p->percent >= 0 || p->message.n || p->details.n) {
        h->told = true;
        h->progress = (struct progress){now, p->percent, p->message, p->details};
    }
}

/* The earlier of its own end and of its worker's; a guest has no heartbeat. */
static int64_t end_of(const struct held *h)
{
    if (h->guest || (h->expires_at && h->expires_at < h->beat_until))
        return h->expires_at;
    return h->beat_until;
}

static int write(struct tx *tx, const struct held *list, size_t n)
{
    struct sets sets = {0};
    struct progress_told told = {0};
    int r;

    for (size_t i = 0; i < n; i++) {
        if (list[i].told)
            SETS_ADD(&sets, tx->arena, INT(list[i].task), INT(list[i].expires_at),
                     INT(list[i].percent), TEXT(list[i].message));
        if (list[i].planned && list[i].progress.at)
            progress_tell(
                &told, tx,
                &(struct progress_of){list[i].token, list[i].task, list[i].run, list[i].name},
                &list[i].progress);
    }
    r = sets_run(&sets, tx, STMT_lease_put, 4, NULL);
    if (!r)
        r = progress_write(&told, tx);
    return r ? fault(r) : 0;
}

int lease_renew(struct tx *tx, const struct lease_renew *req, struct lease_renewals *reply)
{
    struct held *list = NULL;
    size_t n = 0;
    int r = check(tx, req);

    if (r)
        return r;
    r = lock(tx, req, &list, &n);
    if (r)
        return fault(r);
    reply->n = req->n;
    reply->list = ARENA_ARRAY(tx->arena, struct lease_renewed, req->n);
    for (size_t i = 0; i < req->n; i++) {
        const struct lease_progress *p = &req->list[i];
        const struct held key = {.task = p->lease.task};
        struct held *h = n ? bsearch(&key, list, n, sizeof(*list), by_task) : NULL;

        reply->list[i] = (struct lease_renewed){.code = CODE_LEASE_LOST};
        if (!h || h->token == 0 || h->token != p->lease.token)
            continue;
        renew(h, p, req->ttl_us, tx->now);
        reply->list[i] = (struct lease_renewed){
            .code = CODE_OK,
            .expires_at = end_of(h),
            .stop = h->stop,
        };
    }
    r = write(tx, list, n);
    return r ? fault(r) : 0;
}
