/* SPDX-License-Identifier: Apache-2.0 */
/* Heartbeats of many workers in one request. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "engine/row.h"
#include "engine/sets.h"
#include "engine/worker_state.h"

/* One incarnation of a request of heartbeats, found by its id. */
struct beating {
    struct worker_row worker; /* begins with the id */
    enum worker_state was;
    struct str metrics;
    bool beats;
    struct worker_beat_reply reply;
};

static int by_incarnation(const void *a, const void *b)
{
    const int64_t *id = a;
    const struct beating *w = b;

    return (*id > w->worker.incarnation) - (*id < w->worker.incarnation);
}

/* Lock the incarnations that are named, each once, in the order of their ids. */
static int lock_beating(struct tx *tx, const struct worker_beats *req, struct beating **ret,
                        size_t *ret_n)
{
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, req->n);
    struct sets sets = {0};
    struct rows rows;
    int r;

    for (size_t i = 0; i < req->n; i++)
        ids[i] = req->list[i].incarnation;
    qsort(ids, req->n, sizeof(*ids), sets_by_number);
    for (size_t i = 0; i < req->n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            SETS_ADD(&sets, tx->arena, INT(ids[i]));
    r = sets_run(&sets, tx, STMT_worker_lock_many, 1, &rows);
    if (r)
        return fault(r);
    *ret = ARENA_ARRAY(tx->arena, struct beating, rows.n);
    for (*ret_n = 0; !r && *ret_n < rows.n; (*ret_n)++) {
        struct beating *w = &(*ret)[*ret_n];

        *w = (struct beating){0};
        r = row_worker(tx, &rows, *ret_n, &w->worker);
        w->was = w->worker.state;
    }
    return r ? fault(r) : 0;
}

/* Whether this heartbeat counts; else the answer says why not. */
static bool judge_beat(struct tx *tx, const struct worker_beat *beat, struct beating *w,
                       struct worker_beat_answer *ret)
{
    *ret = (struct worker_beat_answer){.code = CODE_OK};
    if (beat->metrics.n > WORKER_METRICS_BYTES_MAX ||
        (beat->metrics.n && (beat->metrics.p[0] != '{' || !str_utf8(beat->metrics, NULL) ||
                             str_find(beat->metrics, '\0', NULL)))) {
        ret->code = CODE_INVALID;
        ret->text = str_printf(tx->arena, "metrics are a JSON object of at most %u bytes",
                               WORKER_METRICS_BYTES_MAX);
    } else if (!w) {
        ret->code = CODE_WORKER_NOT_FOUND;
        ret->text =
            str_printf(tx->arena, "worker %" PRId64 " is not registered", beat->incarnation);
    } else if (str_eq(w->worker.kind, WORKER_GUEST) || worker_over(w->was)) {
        ret->code = CODE_WORKER_LOST;
        ret->text = str_printf(
            tx->arena, "worker %" PRId64 " is %s: what it held was taken back; register again",
            beat->incarnation, worker_state_text(w->was).p);
    }
    return ret->code == CODE_OK;
}

static int write_beats(struct tx *tx, struct beating *list, size_t n, struct rows *ret_stops)
{
    struct sets beats = {0}, asked = {0};
    int r;

    for (size_t i = 0; i < n; i++) {
        struct beating *w = &list[i];
        enum worker_event silence;
        bool silent = worker_silence(w->worker.beat_at, w->worker.ttl_us, tx->now, &silence) &&
                      silence == WORKER_EVENT_EXPIRE;

        if (!w->beats)
            continue;
        r = worker_move(&w->worker.state, WORKER_EVENT_BEAT, NULL);
        assert(r == 0);
        w->worker.beat_at = tx->now;
        SETS_ADD(&beats, tx->arena, INT(w->worker.incarnation),
                 TEXT(worker_state_text(w->worker.state)), INT(tx->now), TEXT(w->metrics));
        SETS_ADD(&asked, tx->arena, INT(w->worker.incarnation));
        if (w->worker.state != w->was)
            worker_tell(tx, &w->worker, STR(""));
        if (w->worker.state != w->was || silent)
            tx_push(tx); /* it takes leases again */
        w->reply.state = w->worker.state;
    }
    r = sets_run(&beats, tx, STMT_worker_beat, 4, NULL);
    if (!r)
        r = sets_run(&asked, tx, STMT_worker_stops, 1, ret_stops);
    return r ? fault(r) : 0;
}

/* The leases to stop come by worker, as the list does. */
static void share_stops(struct tx *tx, const struct rows *rows, struct beating *list, size_t n)
{
    struct lease_ref *stops = ARENA_ARRAY(tx->arena, struct lease_ref, rows->n);

    for (size_t i = 0, at = 0; i < rows->n; i++) {
        stops[i] = (struct lease_ref){row_int(rows, i, 1), row_int(rows, i, 2)};
        while (at < n && list[at].worker.incarnation != row_int(rows, i, 0))
            at++;
        assert(at < n);
        if (list[at].reply.stop_n++ == 0)
            list[at].reply.stop = &stops[i];
    }
}

int worker_beat_many(struct tx *tx, const struct worker_beats *req,
                     struct worker_beat_answers *reply)
{
    struct beating **of = ARENA_ARRAY(tx->arena, struct beating *, req->n), *list = NULL;
    struct rows stops = {0};
    size_t n = 0;
    int r;

    if (req->n < 1 || req->n > WORKER_BEATS_MAX)
        return tx_refuse(tx, CODE_INVALID, "a request has 1 to %u heartbeats, not %zu",
                         WORKER_BEATS_MAX, req->n);
    r = lock_beating(tx, req, &list, &n);
    if (r)
        return fault(r);
    reply->n = req->n;
    reply->list = ARENA_ARRAY(tx->arena, struct worker_beat_answer, req->n);
    for (size_t i = 0; i < req->n; i++) {
        const struct worker_beat *b = &req->list[i];

        of[i] = n ? bsearch(&b->incarnation, list, n, sizeof(*list), by_incarnation) : NULL;
        if (!judge_beat(tx, b, of[i], &reply->list[i]))
            continue;
        of[i]->beats = true;
        if (b->metrics.n)
            of[i]->metrics = b->metrics;
    }
    r = write_beats(tx, list, n, &stops);
    if (r)
        return fault(r);
    share_stops(tx, &stops, list, n);
    for (size_t i = 0; i < req->n; i++)
        if (reply->list[i].code == CODE_OK)
            reply->list[i].reply = of[i]->reply;
    return 0;
}

int worker_beat(struct tx *tx, const int64_t *incarnation, struct worker_beat_reply *reply)
{
    const struct worker_beat beat = {.incarnation = *incarnation};
    struct worker_beat_answers answers = {0};
    int r = worker_beat_many(tx, &(struct worker_beats){&beat, 1}, &answers);

    *reply = (struct worker_beat_reply){0};
    if (r)
        return fault(r);
    assert(answers.list);
    *reply = answers.list[0].reply;
    if (answers.list[0].code)
        return tx_refuse(tx, answers.list[0].code, STR_FMT, STR_ARG(answers.list[0].text));
    return 0;
}
