/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/worker.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "core/placement.h"
#include "engine/block.h"
#include "engine/labels.h"
#include "engine/row.h"
#include "engine/sets.h"
#include "engine/worker_state.h"

static int check_name(struct tx *tx, struct str name)
{
    if (name.n < 1 || name.n > WORKER_NAME_BYTES_MAX || !str_utf8(name, NULL) ||
        str_find(name, '\0', NULL))
        return tx_refuse(tx, CODE_INVALID, "a worker's name has 1 to %u bytes of UTF-8 without NUL",
                         WORKER_NAME_BYTES_MAX);
    return 0;
}

static int check_text(struct tx *tx, const char *what, struct str s, size_t bytes_max)
{
    if (s.n > bytes_max || !str_utf8(s, NULL) || str_find(s, '\0', NULL))
        return tx_refuse(tx, CODE_INVALID,
                         "a runner's %s has at most %zu bytes of UTF-8 without NUL", what,
                         bytes_max);
    return 0;
}

/* A runner has a type, an address and modes; another worker has none of them. Whether the address
 * is one, whoever will call it knows. */
static int check_runner(struct tx *tx, const struct worker_register *req)
{
    int r = check_text(tx, "version", req->version, WORKER_VERSION_BYTES_MAX);

    if (!r)
        r = check_text(tx, "type", req->type, WORKER_TYPE_BYTES_MAX);
    if (!r)
        r = check_text(tx, "address", req->address, WORKER_ADDRESS_BYTES_MAX);
    if (r)
        return r;
    if (!req->type.n && !req->address.n && !req->modes)
        return 0;
    if (!req->type.n)
        return tx_refuse(tx, CODE_INVALID,
                         "a worker with an address or modes is a runner, and needs a type");
    if (!req->address.n)
        return tx_refuse(tx, CODE_INVALID,
                         "a runner of type \"" STR_FMT "\" needs an address to be called at",
                         STR_ARG(req->type));
    if (req->modes < 1 || req->modes > PLACEMENT_MODES_ALL)
        return tx_refuse(tx, CODE_INVALID, "a runner's modes are sync, async or both");
    return 0;
}

static int check_register(struct tx *tx, const struct worker_register *req)
{
    int r = check_name(tx, req->name);

    if (r)
        return r;
    r = check_runner(tx, req);
    if (r)
        return r;
    if (req->slots < !req->type.n || req->slots > WORKER_SLOTS_MAX)
        return tx_refuse(tx, CODE_INVALID,
                         "a worker has 1 to %d slots, not %" PRId64
                         "; a runner may have 0, no limit",
                         WORKER_SLOTS_MAX, req->slots);
    if (req->ttl_us < WORKER_TTL_US_MIN || req->ttl_us > WORKER_TTL_US_MAX)
        return tx_refuse(tx, CODE_INVALID, "a worker's time to live lies between 1 s and 1 day");
    r = labels_check(tx, &req->labels, "labels");
    return r ? r : labels_check(tx, &req->metadata, "metadata");
}

void worker_tell(struct tx *tx, const struct worker_row *w, struct str reason)
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

/* The row of a new incarnation, and its event. */
static int add(struct tx *tx, const struct worker_register *req, struct worker_row *ret)
{
    int r;

    *ret = (struct worker_row){
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
    r = worker_move(&ret->state, WORKER_EVENT_BEAT, NULL);
    if (!r)
        r = store_ids(tx->store, 1, &ret->incarnation);
    if (!r)
        r = STORE_DO(
            tx->store, STMT_worker_add, tx->arena, NULL, INT(ret->incarnation), TEXT(req->name),
            TEXT(req->kind), TEXT(req->host), TEXT(req->boot), TEXT(req->site), INT(req->pid),
            INT(req->pid_start), INT(req->slots), INT(req->ttl_us), INT(tx->now), INT(req->run),
            TEXT(worker_state_text(ret->state)), TEXT(labels_json(tx->arena, &req->labels)),
            TEXT(labels_json(tx->arena, &req->metadata)), TEXT(req->type), TEXT(req->address),
            TEXT(req->modes ? placement_modes_text(req->modes) : STR("")), TEXT(req->version));
    if (r)
        return fault(r);
    worker_tell(tx, ret, STR(""));
    return 0;
}

int worker_register(struct tx *tx, const struct worker_register *req, struct worker_row *reply)
{
    int r = check_register(tx, req);

    if (!r && req->run)
        r = check_run(tx, req->run);
    if (r)
        return r;
    r = add(tx, req, reply);
    return r ? fault(r) : 0;
}

int worker_lock(struct tx *tx, int64_t incarnation, struct worker_row *ret)
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

int worker_put(struct tx *tx, const struct worker_row *w, struct str reason)
{
    int r = STORE_PUT(tx->store, STMT_worker_put, INT(w->incarnation),
                      TEXT(worker_state_text(w->state)), TEXT(reason), INT(w->beat_at),
                      INT(worker_over(w->state) ? tx->now : 0));

    return r ? fault(r) : 0;
}

int worker_quiet(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    int r = worker_lock(tx, *incarnation, reply);
    enum worker_event silence;

    if (r)
        return r;
    if (!worker_silence(reply->beat_at, reply->ttl_us, tx->now, &silence) ||
        silence != WORKER_EVENT_QUIET || worker_move(&reply->state, silence, NULL))
        return 0;
    r = worker_put(tx, reply, STR("quiet"));
    if (r)
        return fault(r);
    worker_tell(tx, reply, STR("quiet"));
    return 0;
}

int worker_drain(struct tx *tx, const int64_t *incarnation, struct worker_row *reply)
{
    int r = worker_lock(tx, *incarnation, reply);
    enum worker_state was = reply->state;

    if (r)
        return r;
    if (worker_move(&reply->state, WORKER_EVENT_DRAIN, NULL))
        return tx_refuse(tx, CODE_WORKER_LOST, "worker %" PRId64 " is %s and cannot be drained",
                         *incarnation, worker_state_text(reply->state).p);
    r = worker_put(tx, reply, STR("drained"));
    if (r)
        return fault(r);
    if (reply->state != was)
        worker_tell(tx, reply, STR("drained"));
    return 0;
}

static int by_token(const void *a, const void *b)
{
    const struct lease_ref *x = a, *y = b;

    return (x->token > y->token) - (x->token < y->token);
}

static int check_join(struct tx *tx, const struct worker_join *req)
{
    int r = check_register(tx, &req->worker);
    int64_t number;

    if (r)
        return r;
    if (str_int64(req->worker.name, &number))
        return tx_refuse(
            tx, CODE_INVALID,
            "a worker's name is no number, since a number is the id of an incarnation");
    if (req->leases_n > WORKER_LEASES_MAX)
        return tx_refuse(tx, CODE_INVALID, "a registration names at most %u leases, not %zu",
                         WORKER_LEASES_MAX, req->leases_n);
    return 0;
}

/* The incarnation of that name that is not over, locked with what it holds; none: id 0. */
static int lock_earlier(struct tx *tx, const struct worker_join *req, bool *ret_any,
                        struct worker_row *ret)
{
    enum worker_event silence;
    struct rows rows;
    bool again; /* a runner at the same address */
    int r = store_run(tx->store, STMT_worker_named_lock, tx->arena, NULL, 1, &rows);

    *ret = (struct worker_row){0};
    if (!r)
        r = STORE_DO(tx->store, STMT_worker_named, tx->arena, &rows, TEXT(req->worker.name));
    if (r)
        return fault(r);
    *ret_any = rows.n > 0;
    if (rows.n == 0)
        return 0;
    again = req->worker.address.n && str_eq(row_text(&rows, 0, 2), req->worker.address);
    r = worker_end_lock(tx, row_int(&rows, 0, 0), ret);
    if (r)
        return fault(r);
    if (!worker_over(ret->state) && !req->takeover && !again &&
        !worker_silence(ret->beat_at, ret->ttl_us, tx->now, &silence))
        return tx_refuse(tx, CODE_WORKER_ALIVE,
                         "worker \"" STR_FMT "\" lives as incarnation %" PRId64
                         ", whose heartbeat is not late; wait for its end, or take over",
                         STR_ARG(ret->name), ret->incarnation);
    return 0;
}

/* Those of the leases named that the earlier incarnation holds go over to the next one, no more
 * than it has slots; notes which did. */
static int hand_over(struct tx *tx, int64_t earlier, const struct worker_join *req,
                     struct worker_joined *reply)
{
    struct lease_ref *named = ARENA_ARRAY(tx->arena, struct lease_ref, req->leases_n);
    bool *kept = ARENA_ARRAY(tx->arena, bool, req->leases_n);
    size_t n = req->leases_n,
           kept_max = BROKEN(SURPLUS) || !req->worker.slots ? n : (size_t)req->worker.slots;
    struct sets sets = {0};
    struct rows rows = {0};
    int r = 0;

    reply->kept = ARENA_ARRAY(tx->arena, struct lease_ref, n);
    reply->lost = ARENA_ARRAY(tx->arena, struct lease_ref, n);
    if (n == 0)
        return 0;
    memcpy(named, req->leases, n * sizeof(*named));
    memset(kept, 0, n * sizeof(*kept));
    qsort(named, n, sizeof(*named), by_token);
    if (earlier)
        r = block_open_held(tx, earlier);
    if (earlier && !r)
        r = STORE_DO(tx->store, STMT_worker_held, tx->arena, &rows, INT(earlier));
    for (size_t i = 0; !r && i < rows.n && reply->kept_n < kept_max; i++) {
        const struct lease_ref l = {row_int(&rows, i, 0), row_int(&rows, i, 1)};
        const struct lease_ref *at = bsearch(&l, named, n, sizeof(*named), by_token);

        if (!at || at->task != l.task)
            continue;
        kept[at - named] = true;
        reply->kept[reply->kept_n++] = l;
        SETS_ADD(&sets, tx->arena, INT(l.task), INT(l.token),
                 INT(reply->worker.worker.incarnation));
    }
    for (size_t i = 0; i < n; i++)
        if (!kept[i])
            reply->lost[reply->lost_n++] = named[i];
    if (!r)
        r = sets_run(&sets, tx, STMT_task_hand_over, 3, NULL);
    return r ? fault(r) : 0;
}

int worker_join(struct tx *tx, const struct worker_join *req, struct worker_joined *reply)
{
    struct worker_register worker = req->worker;
    struct worker_lose_reply lost = {0};
    struct worker_row earlier;
    int r = check_join(tx, req);

    *reply = (struct worker_joined){.beat_every_us = req->worker.ttl_us / 5};
    if (!r)
        r = lock_earlier(tx, req, &reply->reregistered, &earlier);
    if (r)
        return r;
    worker.kind = WORKER_REMOTE;
    r = add(tx, &worker, &reply->worker.worker);
    if (!r)
        r = hand_over(tx, worker_over(earlier.state) ? 0 : earlier.incarnation, req, reply);
    if (!r && earlier.incarnation && !BROKEN(LIVES))
        r = worker_end(tx, &earlier, WORKER_EVENT_EXPIRE, STR("another incarnation took its place"),
                       &lost);
    if (r)
        return fault(r);
    if (worker.type.n)
        tx_push(tx);
    r = worker_get(tx, &reply->worker.worker.incarnation, &reply->worker);
    return r ? fault(r) : 0;
}

/* How long the newest claim of a guest may be older than its row says, so that not each claim
 * writes it. */
#define GUEST_SEEN_US (60 * CLOCK_S)

static int check_guest(struct tx *tx, struct str name)
{
    int64_t number;
    int r = check_name(tx, name);

    if (!r && str_int64(name, &number))
        r = tx_refuse(tx, CODE_WORKER_NOT_FOUND, "worker " STR_FMT " is not registered",
                      STR_ARG(name));
    return r;
}

/* It is made, or is there already and is seen again. */
static int see_guest(struct tx *tx, struct str name, int64_t *ret)
{
    struct rows rows;
    int64_t id;
    int r = store_ids(tx->store, 1, &id);

    if (!r)
        r = STORE_DO(tx->store, STMT_worker_guest_add, tx->arena, &rows, INT(id), TEXT(name),
                     INT(WORKER_SLOTS_MAX), INT(WORKER_TTL_US_MAX), INT(tx->now),
                     TEXT(worker_state_text(WORKER_READY)));
    *ret = r ? 0 : row_int(&rows, 0, 0);
    return r ? fault(r) : 0;
}

int worker_guest_many(struct tx *tx, const struct str *names, int64_t *ret,
                      struct tx_problem *problems, size_t n)
{
    struct sets sets = {0};
    struct rows rows;
    int r = 0;

    for (size_t i = 0; !r && i < n; i++) {
        ret[i] = 0;
        r = tx_refuse_one(tx, check_guest(tx, names[i]), &problems[i]);
        if (problems[i].code == CODE_OK)
            SETS_ADD(&sets, tx->arena, TEXT(names[i]));
    }
    if (!r)
        r = sets_run(&sets, tx, STMT_worker_guest, 1, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        for (size_t j = 0; j < n; j++)
            if (tx->now - row_int(&rows, i, 1) < GUEST_SEEN_US &&
                str_eq(row_text(&rows, i, 2), names[j]))
                ret[j] = row_int(&rows, i, 0);
    for (size_t i = 0; !r && i < n; i++)
        if (problems[i].code == CODE_OK && ret[i] == 0)
            r = see_guest(tx, names[i], &ret[i]);
    return r ? fault(r) : 0;
}

int worker_guest(struct tx *tx, const struct str *name, int64_t *reply)
{
    struct tx_problem problem;
    int r = worker_guest_many(tx, name, reply, &problem, 1);

    return r ? fault(r) : tx_refused(tx, &problem);
}
