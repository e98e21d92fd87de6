/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/worker.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/fault.h"
#include "engine/change.h"
#include "engine/sets.h"

static int check_register(struct tx *tx, const struct worker_register *req)
{
    if (req->name.n < 1 || req->name.n > WORKER_NAME_BYTES_MAX || !str_utf8(req->name, NULL) ||
        str_find(req->name, '\0', NULL))
        return tx_refuse(tx, CODE_INVALID, "a worker's name has 1 to %u bytes of UTF-8 without NUL",
                         WORKER_NAME_BYTES_MAX);
    if (req->slots < 1 || req->slots > WORKER_SLOTS_MAX)
        return tx_refuse(tx, CODE_INVALID, "a worker has 1 to %d slots, not %" PRId64,
                         WORKER_SLOTS_MAX, req->slots);
    if (req->ttl_us < WORKER_TTL_US_MIN || req->ttl_us > WORKER_TTL_US_MAX)
        return tx_refuse(tx, CODE_INVALID, "a worker's time to live lies between 1 s and 1 day");
    return 0;
}

static void event(struct tx *tx, const struct worker_row *w, struct str reason)
{
    static const struct str kinds[] = {
#define WORKER_KIND(name) [WORKER_##name] = {"worker_" #name, sizeof("worker_" #name) - 1},
        WORKER_STATES(WORKER_KIND)};
    struct buf data;

    buf_init(&data, 6 * reason.n + 100); /* a control character takes six bytes in JSON */
    buf_printf(&data, "{\"worker\":\"%" PRId64 "\",\"reason\":", w->incarnation);
    buf_json(&data, reason);
    buf_byte(&data, '}');
    tx_event(tx, w->run, 0, STR(""), kinds[w->state], str_copy(tx->arena, buf_str(&data)));
    buf_deinit(&data);
}

/* Only one worker carries a run. Its row is locked before the workers are looked at, so that of two
 * that register the second sees the first. */
static int check_run(struct tx *tx, int64_t run)
{
    struct worker_rows workers = {0};
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_run_lock, tx->arena, &rows, INT(run));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_RUN_NOT_FOUND, "run %" PRId64 " does not exist", run);
    r = worker_list(tx, NULL, &workers);
    for (size_t i = 0; !r && i < workers.n; i++) {
        const struct worker_row *w = &workers.list[i];

        if (w->run == run)
            return tx_refuse(tx, CODE_RUN_HELD,
                             "run %" PRId64 " is carried by the weft with process id %" PRId64
                             " on " STR_FMT "; watch it, or cancel it",
                             run, w->pid, STR_ARG(w->host));
    }
    return r ? fault(r) : 0;
}

int worker_register(struct tx *tx, const struct worker_register *req, struct worker_row *reply)
{
    int r = check_register(tx, req);

    if (!r && req->run)
        r = check_run(tx, req->run);
    if (r)
        return r;
    *reply = (struct worker_row){
        .name = req->name,
        .kind = req->kind,
        .host = req->host,
        .boot = req->boot,
        .site = req->site,
        .pid = req->pid,
        .pid_start = req->pid_start,
        .slots = req->slots,
        .ttl_us = req->ttl_us,
        .run = req->run,
        .beat_at = tx->now,
        .joined_at = tx->now,
        .state = WORKER_JOINING,
    };
    r = worker_move(&reply->state, WORKER_EVENT_BEAT, NULL);
    if (!r)
        r = store_ids(tx->store, 1, &reply->incarnation);
    if (!r)
        r = STORE_DO(tx->store, STMT_worker_add, tx->arena, NULL, INT(reply->incarnation),
                     TEXT(req->name), TEXT(req->kind), TEXT(req->host), TEXT(req->boot),
                     TEXT(req->site), INT(req->pid), INT(req->pid_start), INT(req->slots),
                     INT(req->ttl_us), INT(tx->now), INT(req->run),
                     TEXT(worker_state_text(reply->state)));
    if (r)
        return fault(r);
    event(tx, reply, STR(""));
    return 0;
}

static int lock(struct tx *tx, int64_t incarnation, struct worker_row *ret)
{
    struct rows rows;
    int r;

    *ret = (struct worker_row){0};
    r = STORE_DO(tx->store, STMT_worker_lock, tx->arena, &rows, INT(incarnation));

    if (r)
        return fault(r);
    if (rows.n == 0)
        return tx_refuse(tx, CODE_WORKER_NOT_FOUND, "worker %" PRId64 " is not registered",
                         incarnation);
    r = row_worker(tx, &rows, 0, ret);
    return r ? fault(r) : 0;
}

static int put(struct tx *tx, const struct worker_row *w, struct str reason)
{
    int r = STORE_DO(tx->store, STMT_worker_put, tx->arena, NULL, INT(w->incarnation),
                     TEXT(worker_state_text(w->state)), TEXT(reason), INT(w->beat_at),
                     INT(worker_over(w->state) ? tx->now : 0));

    return r ? fault(r) : 0;
}

int worker_beat(struct tx *tx, const int64_t *incarnation, struct worker_beat_reply *reply)
{
    enum worker_state was;
    struct worker_row w;
    struct rows rows;
    int r = lock(tx, *incarnation, &w);

    *reply = (struct worker_beat_reply){0};
    if (r)
        return r;
    was = w.state;
    if (worker_over(w.state) || worker_move(&w.state, WORKER_EVENT_BEAT, NULL))
        return tx_refuse(tx, CODE_WORKER_LOST,
                         "worker %" PRId64 " is %s: what it held was taken back; register again",
                         *incarnation, worker_state_text(w.state).p);
    w.beat_at = tx->now;
    r = put(tx, &w, STR(""));
    if (!r)
        r = STORE_DO(tx->store, STMT_worker_stops, tx->arena, &rows, INT(*incarnation));
    if (r)
        return fault(r);
    if (w.state != was)
        event(tx, &w, STR(""));
    reply->state = w.state;
    reply->stop = ARENA_ARRAY(tx->arena, struct lease_ref, rows.n);
    for (reply->stop_n = 0; reply->stop_n < rows.n; reply->stop_n++)
        reply->stop[reply->stop_n] =
            (struct lease_ref){row_int(&rows, reply->stop_n, 0), row_int(&rows, reply->stop_n, 1)};
    return 0;
}

int worker_quiet(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    int r = lock(tx, *incarnation, reply);
    enum worker_event silence;

    if (r)
        return r;
    if (!worker_silence(reply->beat_at, reply->ttl_us, tx->now, &silence) ||
        silence != WORKER_EVENT_QUIET || worker_move(&reply->state, silence, NULL))
        return 0;
    r = put(tx, reply, STR("quiet"));
    if (r)
        return fault(r);
    event(tx, reply, STR("quiet"));
    return 0;
}

int worker_drain(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    int r = lock(tx, *incarnation, reply);
    enum worker_state was = reply->state;

    if (r)
        return r;
    if (worker_move(&reply->state, WORKER_EVENT_DRAIN, NULL))
        return tx_refuse(tx, CODE_WORKER_LOST, "worker %" PRId64 " is %s and cannot be drained",
                         *incarnation, worker_state_text(reply->state).p);
    r = put(tx, reply, STR("drained"));
    if (r)
        return fault(r);
    if (reply->state != was)
        event(tx, reply, STR("drained"));
    return 0;
}

/* Lock what the worker holds. */
static int lock_held(struct tx *tx, int64_t incarnation, struct rows *ret)
{
    struct sets sets = {0};
    int r = STORE_DO(tx->store, STMT_worker_held, tx->arena, ret, INT(incarnation));

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
    struct rows rows;
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
static int end_lock(struct tx *tx, int64_t incarnation, struct worker_row *ret)
{
    struct rows rows;
    int r = lock_held(tx, incarnation, &rows);

    *ret = (struct worker_row){0};
    return r ? fault(r) : lock(tx, incarnation, ret);
}

static int end(struct tx *tx, struct worker_row *w, enum worker_event how, struct str reason,
               struct worker_lose_reply *reply)
{
    int r;

    if (worker_over(w->state))
        return 0;
    r = worker_move(&w->state, how, NULL);
    if (!r)
        r = put(tx, w, reason);
    if (!r)
        r = lose_held(tx, w->incarnation, reason, reply);
    if (r)
        return fault(r);
    event(tx, w, reason);
    return 0;
}

int worker_leave(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    struct worker_lose_reply lost = {0};
    int r = end_lock(tx, *incarnation, reply);

    return r ? r : end(tx, reply, WORKER_EVENT_LEAVE, STR("the worker left"), &lost);
}

int worker_lose(struct tx *tx, const struct worker_lose *req, struct worker_lose_reply *reply)
{
    struct worker_row w;
    int r;

    *reply = (struct worker_lose_reply){0};
    r = end_lock(tx, req->incarnation, &w);
    if (r)
        return r;
    if (req->beat_at && w.beat_at != req->beat_at && !worker_over(w.state))
        return tx_refuse(tx, CODE_WORKER_ALIVE,
                         "worker %" PRId64 " is alive: a heartbeat has come meanwhile",
                         req->incarnation);
    return end(tx, &w, WORKER_EVENT_EXPIRE, req->reason, reply);
}

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
