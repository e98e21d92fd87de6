/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reaper.h"

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/block.h"
#include "engine/change.h"
#include "engine/grant.h"
#include "engine/grant_runner.h"
#include "engine/idempotency.h"
#include "engine/sets.h"

/* Delayed tasks whose time has come become READY. */
static int promote(struct tx *tx, struct reaper_reply *reply)
{
    struct rows rows;
    struct change c;
    int r = STORE_DO(tx->store, STMT_task_due, tx->arena, &rows, INT(tx->now), INT(REAPER_BATCH));

    if (r)
        return fault(r);
    change_init(&c, tx);
    for (size_t i = BROKEN(PROMOTION) && rows.n > 1; i < rows.n; i++) {
        struct task_row row;

        r = row_task(tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (!change_move(&c, &row, TASK_DUE, STR("")))
            reply->promoted++;
    }
    r = change_write(&c);
    reply->more |= reply->promoted == REAPER_BATCH;
    return r ? fault(r) : 0;
}

static int next_due(struct tx *tx, int64_t *ret)
{
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_task_next_due, tx->arena, &rows, INT(-1), TEXT(STR("")));

    *ret = !r && rows.n ? row_int(&rows, 0, 0) : 0;
    return r ? fault(r) : 0;
}

/* Attempts past their deadline; local workers see to their own. */
static int time_out(struct tx *tx, struct reaper_reply *reply)
{
    const struct task_result late = {
        .outcome = OUTCOME_TIMED_OUT,
        .reason = TASK_REASON_TIMED_OUT,
        .message = STR("the deadline of the attempt passed"),
        .exit_code = -1,
    };
    struct rows rows;
    struct change c;
    int r =
        STORE_DO(tx->store, STMT_task_overdue, tx->arena, &rows, INT(tx->now), INT(REAPER_BATCH));

    if (r)
        return fault(r);
    reply->more |= rows.n == REAPER_BATCH;
    change_init(&c, tx);
    for (size_t i = 0; i < rows.n; i++) {
        struct task_row row;

        r = row_task(tx, &rows, i, &row);
        if (r)
            return fault(r);
        if (!change_end_attempt(&c, &row, TASK_TIME_OUT, &late, STR("")))
            reply->timed_out++;
    }
    r = change_write(&c);
    return r ? fault(r) : 0;
}

/* End a lease of a worker, or of a stage that its runner has begun. */
static bool expire_one(struct change *c, struct task_row *row)
{
    struct task_result lost = {
        .outcome = OUTCOME_LOST,
        .reason = TASK_REASON_LOST,
        .message = STR("the lease was not renewed in time"),
        .exit_code = -1,
    };

    if (row->gate == GRANT_GATE)
        lost = grant_expiry(c->tx, row);
    return !change_end_attempt(c, row, TASK_LOSE, &lost, STR(""));
}

/* Leases that have an end of their own. A stage that its runner has not accepted by then is offered
 * to another, as if it was refused. */
static int expire(struct tx *tx, struct reaper_reply *reply)
{
    struct grant_back *back;
    struct task_row *list;
    struct rows rows;
    struct change c;
    size_t back_n = 0;
    int64_t now = tx->now + (BROKEN(EXPIRY) ? CLOCK_S : 0);
    int r = block_open_expired(tx, now, REAPER_PIECES, &reply->more);

    if (!r)
        r = STORE_DO(tx->store, STMT_task_expired, tx->arena, &rows, INT(now), INT(REAPER_BATCH));
    if (r)
        return fault(r);
    reply->more |= rows.n == REAPER_BATCH;
    list = ARENA_ARRAY(tx->arena, struct task_row, rows.n);
    back = ARENA_ARRAY(tx->arena, struct grant_back, rows.n);
    change_init(&c, tx);
    for (size_t i = 0; !r && i < rows.n; i++) {
        r = row_task(tx, &rows, i, &list[i]);
        if (!r && list[i].gate == GRANT_GATE && list[i].task.state == TASK_LEASED &&
            BROKEN(ACCEPTANCE))
            continue;
        if (!r && list[i].gate == GRANT_GATE && list[i].task.state == TASK_LEASED)
            back[back_n++] =
                (struct grant_back){&list[i], TASK_REASON_NOT_ACCEPTED,
                                    STR("its runner did not accept it before the accept deadline")};
        else if (!r)
            reply->expired += expire_one(&c, &list[i]);
    }
    if (!r)
        r = grant_give_back(&c, back, back_n, &reply->expired);
    if (!r)
        r = change_write(&c);
    return r ? fault(r) : 0;
}

/* Workers that are to be lost in this scan, and about what they hold. */
struct losing {
    struct worker_lose list[REAPER_WORKERS];
    size_t n;
    int64_t busy;
};

static bool is_local(const struct worker_row *w)
{
    return str_eq(w->kind, STR("local"));
}

/* False: there is no room for it in this scan. */
static bool note_lost(struct losing *losing, const struct worker_row *w)
{
    if (losing->n == REAPER_WORKERS || losing->busy >= REAPER_BATCH)
        return false;
    losing->list[losing->n++] =
        (struct worker_lose){w->incarnation, STR("its heartbeat stopped"), w->beat_at};
    losing->busy += w->busy;
    return true;
}

/* What is found due, late or expired is passed over where somebody else has its run; what silent
 * workers hold is waited for. So that comes first, while nothing else is locked. */
static int lock_silent(struct tx *tx)
{
    struct losing *losing = ARENA_NEW(tx->arena, struct losing);
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_worker_silent, tx->arena, &rows, INT(tx->now));

    for (size_t i = 0; i < rows.n && !r; i++) {
        enum worker_event event;
        struct worker_row w;

        r = row_worker(tx, &rows, i, &w);
        if (!r && worker_silence(w.beat_at, w.ttl_us, tx->now, &event) &&
            event == WORKER_EVENT_EXPIRE && !is_local(&w) && !note_lost(losing, &w))
            break;
    }
    if (!r)
        r = worker_lose_lock(tx, &(struct worker_lose_many){losing->list, losing->n, REAPER_BATCH});
    return r ? fault(r) : 0;
}

/* One that is late is moved, one that is silent is noted. */
static int silence(struct tx *tx, const struct worker_row *w, struct losing *losing,
                   struct reaper_reply *reply)
{
    struct worker_row quiet;
    enum worker_event event;
    int r = 0;

    if (!worker_silence(w->beat_at, w->ttl_us, tx->now, &event))
        return 0;
    if (BROKEN(SILENCE))
        event = WORKER_EVENT_EXPIRE;
    if (event == WORKER_EVENT_EXPIRE && is_local(w)) {
        reply->silent_local.list[reply->silent_local.n++] = *w;
        return 0;
    }
    if (event == WORKER_EVENT_EXPIRE)
        reply->more |= !note_lost(losing, w);
    else if (w->state == WORKER_READY)
        r = worker_quiet(tx, &w->incarnation, &quiet);
    return r ? fault(r) : 0;
}

static int watch_workers(struct tx *tx, struct reaper_reply *reply)
{
    struct losing *losing = ARENA_NEW(tx->arena, struct losing);
    struct worker_lost lost = {0};
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_worker_silent, tx->arena, &rows, INT(tx->now));

    if (r)
        return fault(r);
    reply->silent_local.list = ARENA_ARRAY(tx->arena, struct worker_row, rows.n);
    for (size_t i = 0; i < rows.n && !r; i++) {
        struct worker_row w;

        r = row_worker(tx, &rows, i, &w);
        if (!r)
            r = silence(tx, &w, losing, reply);
    }
    if (!r)
        r = worker_lose_many(tx, &(struct worker_lose_many){losing->list, losing->n, REAPER_BATCH},
                             &lost);
    reply->lost = lost.workers;
    reply->more |= lost.more;
    return r ? fault(r) : 0;
}

int reaper_scan(struct tx *tx, const void *unused, struct reaper_reply *reply)
{
    int r;

    (void)unused;
    *reply = (struct reaper_reply){0};
    r = lock_silent(tx);
    if (!r)
        r = promote(tx, reply);
    if (!r)
        r = time_out(tx, reply);
    if (!r)
        r = expire(tx, reply);
    if (!r)
        r = watch_workers(tx, reply);
    if (!r)
        r = next_due(tx, &reply->next_due_at);
    return r ? fault(r) : 0;
}

/* A guest that claims again within the hour is the same one. */
#define GUEST_IDLE_US  (3600 * CLOCK_S)
#define WORKER_KEPT_US (7 * 86400 * CLOCK_S)

static int forget_attempts(struct tx *tx, struct reaper_forgotten *reply)
{
    struct sets sets = {0};
    struct rows rows;
    int r =
        STORE_DO(tx->store, STMT_attempt_old, tx->arena, &rows, INT(tx->now), INT(REAPER_FORGET));

    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        SETS_ADD(&sets, tx->arena, INT(row_int(&rows, i, 0)));
    reply->attempts = (int64_t)rows.n;
    reply->more |= rows.n == REAPER_FORGET;
    r = sets_run(&sets, tx, STMT_attempt_drop, 1, NULL);
    if (!r)
        r = block_forget(tx, REAPER_FORGET_PIECES, &reply->attempts, &reply->more);
    return r ? fault(r) : 0;
}

int reaper_forget(struct tx *tx, const void *unused, struct reaper_forgotten *reply)
{
    struct idempotency_swept replies;
    struct rows guests, workers;
    int r;

    (void)unused;
    *reply = (struct reaper_forgotten){0};
    r = forget_attempts(tx, reply);
    if (!r)
        r = STORE_DO(tx->store, STMT_worker_guest_end, tx->arena, &guests,
                     INT(tx->now - GUEST_IDLE_US), INT(tx->now), INT(REAPER_FORGET));
    if (!r)
        r = STORE_DO(tx->store, STMT_worker_drop, tx->arena, &workers,
                     INT(tx->now - WORKER_KEPT_US), INT(REAPER_FORGET));
    if (!r)
        r = idempotency_sweep(tx, NULL, &replies);
    if (!r)
        r = STORE_PUT(tx->store, STMT_unique_sweep, INT(tx->now), INT(REAPER_FORGET));
    if (r)
        return fault(r);
    reply->more |=
        replies.more || guests.changed == REAPER_FORGET || workers.changed == REAPER_FORGET;
    return 0;
}
