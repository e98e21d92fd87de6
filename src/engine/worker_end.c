/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of workers: they leave or are lost, and what they hold is taken back. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/sets.h"
#include "engine/worker_state.h"

/* Lock what the worker holds. */
static int lock_held(struct tx *tx, int64_t incarnation, struct rows *ret)
{
    struct sets sets = {0};
    int r = block_open_held(tx, incarnation);

    if (!r)
        r = STORE_DO(tx->store, STMT_worker_held, tx->arena, ret, INT(incarnation));

    if (r)
        return fault(r);
    for (size_t i = 0; i < ret->n; i++)
        SETS_ADD(&sets, tx->arena, INT(row_int(ret, i, 0)));
    r = sets_run(&sets, tx, STMT_task_lock, 1, ret);
    return r ? fault(r) : 0;
}

/* End every attempt that the worker holds as lost. Notes the names for whoever asked. */
static int lose_held(struct tx *tx, int64_t incarnation, struct str reason,
                     struct worker_lose_reply *reply)
{
    const struct task_result lost = {
        .outcome = OUTCOME_LOST,
        .reason = TASK_REASON_LOST,
        .message = reason,
        .exit_code = -1,
    };
    struct rows rows = {0};
    struct change c;
    int r = lock_held(tx, incarnation, &rows);

    if (r)
        return fault(r);
    change_init(&c, tx);
    reply->tasks = ARENA_ARRAY(tx->arena, int64_t, rows.n);
    reply->names = ARENA_ARRAY(tx->arena, struct str, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        struct task_row row;

        r = row_task(tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (row.worker != incarnation || !task_held(row.task.state))
            continue;
        r = change_end_attempt(&c, &row, TASK_LOSE, &lost, STR(""));
        if (r)
            return fault(r);
        reply->tasks[reply->n] = row.id;
        reply->names[reply->n++] = row.name;
    }
    r = change_write(&c);
    return r ? fault(r) : 0;
}

/* The tasks are locked before the worker, and a claim may slip in between: so they are looked for
 * once more when its row is locked, since when no claim can be written for it. Until then nothing
 * is written, so that whoever finds it alive after all can leave it as it is. */
int worker_end_lock(struct tx *tx, int64_t incarnation, struct worker_row *ret)
{
    struct rows rows;
    int r = lock_held(tx, incarnation, &rows);

    *ret = (struct worker_row){0};
    return r ? fault(r) : worker_lock(tx, incarnation, ret);
}

int worker_end(struct tx *tx, struct worker_row *w, enum worker_event how, struct str reason,
               struct worker_lose_reply *reply)
{
    int r;

    if (worker_over(w->state))
        return 0;
    r = worker_move(&w->state, how, NULL);
    if (!r)
        r = worker_put(tx, w, reason);
    if (!r)
        r = lose_held(tx, w->incarnation, reason, reply);
    if (r)
        return fault(r);
    worker_tell(tx, w, reason);
    return 0;
}

int worker_leave(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    struct worker_lose_reply lost = {0};
    int r = worker_end_lock(tx, *incarnation, reply);

    return r ? r : worker_end(tx, reply, WORKER_EVENT_LEAVE, STR("the worker left"), &lost);
}

int worker_lose(struct tx *tx, const struct worker_lose *req, struct worker_lose_reply *reply)
{
    struct worker_row w;
    int r;

    *reply = (struct worker_lose_reply){0};
    r = worker_end_lock(tx, req->incarnation, &w);
    if (r)
        return r;
    if (req->beat_at && w.beat_at != req->beat_at && !worker_over(w.state))
        return tx_refuse(tx, CODE_WORKER_ALIVE,
                         "worker %" PRId64 " is alive: a heartbeat has come meanwhile",
                         req->incarnation);
    return worker_end(tx, &w, WORKER_EVENT_EXPIRE, req->reason, reply);
}

static int by_lost(const void *key, const void *at)
{
    const int64_t *incarnation = key;
    const struct worker_lose *w = at;

    return (*incarnation > w->incarnation) - (*incarnation < w->incarnation);
}

static const struct worker_lose *lost_of(const struct worker_lose_many *req, int64_t incarnation)
{
    return bsearch(&incarnation, req->list, req->n, sizeof(*req->list), by_lost);
}

/* Lock what they hold, as far as one step goes. Those from *ret_whole on hold more than that. */
static int lock_held_many(struct tx *tx, const struct worker_lose_many *req, struct rows *ret,
                          int64_t *ret_whole)
{
    int64_t *incarnations = ARENA_ARRAY(tx->arena, int64_t, req->n);
    struct sets asked = {0}, sets = {0};
    struct rows held;
    int r;

    for (size_t i = 0; i < req->n; i++) {
        incarnations[i] = req->list[i].incarnation;
        SETS_ADD(&asked, tx->arena, INT(incarnations[i]));
    }
    r = block_open_held_many(tx, incarnations, req->n, req->tasks_max, ret_whole);
    if (!r)
        r = sets_run(&asked, tx, STMT_worker_held_many, 1, &held);
    if (r)
        return fault(r);
    for (size_t i = 0; i < held.n && i < req->tasks_max; i++)
        SETS_ADD(&sets, tx->arena, INT(row_int(&held, i, 0)));
    if (held.n > req->tasks_max && row_int(&held, req->tasks_max, 1) < *ret_whole)
        *ret_whole = row_int(&held, req->tasks_max, 1);
    r = sets_run(&sets, tx, STMT_task_lock, 1, ret);
    return r ? fault(r) : 0;
}

/* Their rows, by incarnation; those that are to be lost still have a state that is not over. */
static int lock_lost(struct tx *tx, const struct worker_lose_many *req, struct worker_rows *ret)
{
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        SETS_ADD(&sets, tx->arena, INT(req->list[i].incarnation));
    r = sets_run(&sets, tx, STMT_worker_lock_many, 1, &rows);
    if (r)
        return fault(r);
    ret->list = ARENA_ARRAY(tx->arena, struct worker_row, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        struct worker_row *w = &ret->list[ret->n];
        const struct worker_lose *lose;

        r = row_worker(tx, &rows, i, w);
        if (r)
            return fault(r);
        lose = lost_of(req, w->incarnation);
        if (!worker_over(w->state) && (!lose->beat_at || lose->beat_at == w->beat_at))
            ret->n++;
    }
    return 0;
}

static int by_row(const void *key, const void *at)
{
    const int64_t *incarnation = key;
    const struct worker_row *w = at;

    return (*incarnation > w->incarnation) - (*incarnation < w->incarnation);
}

static int end_held_many(struct tx *tx, const struct worker_lose_many *req,
                         const struct worker_rows *workers, const struct rows *held)
{
    struct change c;
    int r = 0;

    change_init(&c, tx);
    for (size_t i = 0; !r && i < held->n; i++) {
        struct task_result lost = {
            .outcome = OUTCOME_LOST, .reason = TASK_REASON_LOST, .exit_code = -1};
        struct task_row row;

        r = row_task(tx, held, i, &row);
        if (r || !task_held(row.task.state) ||
            !bsearch(&row.worker, workers->list, workers->n, sizeof(*workers->list), by_row))
            continue;
        lost.message = lost_of(req, row.worker)->reason;
        r = change_end_attempt(&c, &row, TASK_LOSE, &lost, STR(""));
    }
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

int worker_lose_lock(struct tx *tx, const struct worker_lose_many *req)
{
    struct rows held;
    int64_t whole;
    int r = req->n ? lock_held_many(tx, req, &held, &whole) : 0;

    return r ? fault(r) : 0;
}

/* In the order of worker_lose(): tasks, workers, and the tasks that a claim slipped in between. */
int worker_lose_many(struct tx *tx, const struct worker_lose_many *req, struct worker_lost *reply)
{
    struct worker_rows workers = {0};
    struct rows held;
    int64_t whole;
    int r = 0;

    *reply = (struct worker_lost){0};
    if (req->n)
        r = lock_held_many(tx, req, &held, &whole);
    if (req->n && !r)
        r = lock_lost(tx, req, &workers);
    if (r || !workers.n)
        return r ? fault(r) : 0;
    r = lock_held_many(tx, req, &held, &whole);
    if (!r)
        r = end_held_many(tx, req, &workers, &held);
    reply->more = whole < INT64_MAX;
    for (size_t i = 0; !r && i < workers.n && workers.list[i].incarnation < whole; i++) {
        struct worker_row *w = &workers.list[i];
        struct str reason = lost_of(req, w->incarnation)->reason;

        r = worker_move(&w->state, WORKER_EVENT_EXPIRE, NULL);
        if (!r)
            r = worker_put(tx, w, reason);
        if (!r)
            worker_tell(tx, w, reason);
        reply->workers++;
    }
    return r ? fault(r) : 0;
}
