/* SPDX-License-Identifier: Apache-2.0 */
/* What a round has placed becomes leases: their args, the changes of their tasks, the traces. */
#include <assert.h>

#include "base/fault.h"
#include "engine/grant_args.h"
#include "engine/grant_state.h"
#include "engine/sets.h"

int grant_write_args(struct grant_state *o)
{
    int64_t *ids = ARENA_ARRAY(o->tx->arena, int64_t, o->placed_n);
    struct str *args = ARENA_ARRAY(o->tx->arena, struct str, o->placed_n);
    size_t n = 0, kept = 0, at = 0;
    int r;

    for (size_t i = 0; i < o->placed_n; i++)
        if (!o->placed[i].dropped)
            ids[n++] = o->placed[i].row.id;
    r = grant_payloads(o->tx, ids, n, GRANT_BYTES_MAX, args, &kept);
    for (size_t i = 0; !r && i < o->placed_n; i++) {
        struct grant_placed *p = &o->placed[i];

        if (p->dropped)
            continue;
        if (at < kept)
            p->args = args[at++];
        else
            p->dropped = o->cut = true;
    }
    return r ? fault(r) : 0;
}

static int64_t accept_us(const struct grant_state *o, const struct grant_placed *p)
{
    int64_t us = row_int(&o->ready, p->at, GRANT_READY_ACCEPT);

    if (us <= 0)
        us = GRANT_ACCEPT_US;
    return p->row.timeout_us && p->row.timeout_us < us ? p->row.timeout_us : us;
}

static void reply_lease(const struct grant_state *o, struct grant_placed *p, int64_t expires_at,
                        struct grant_lease *ret)
{
    const struct grant_runner *info = &p->demand->runners.info[p->runner];
    bool async = p->demand->placement.mode == PLACEMENT_ASYNC;

    *ret = (struct grant_lease){
        .lease = {p->row.id, p->row.token},
        .run = p->row.run,
        .attempt = p->row.task.attempts + async,
        .name = p->row.name,
        .type = p->demand->placement.type,
        .mode = p->demand->placement.mode,
        .args = p->args,
        .runner = info->name,
        .address = info->address,
        .worker = p->row.worker,
        .deadline_at = p->row.timeout_us ? o->tx->now + p->row.timeout_us : 0,
        .accept_by = async ? expires_at : 0,
        .progress_us = row_int(&o->ready, p->at, GRANT_READY_PROGRESS),
        .ready_at = p->row.ready_at,
    };
}

/* Write one: a sync stage starts with its grant, an async one when its runner has accepted it. */
static void grant_one(struct grant_state *o, struct change *c, struct grant_placed *p,
                      int64_t token, struct grant_lease *ret)
{
    bool async = p->demand->placement.mode == PLACEMENT_ASYNC;
    int64_t expires_at = o->tx->now + (async ? accept_us(o, p) : GRANT_KEEP_US);
    int r;

    p->row.runner = p->demand->runners.info[p->runner].name;
    r = (async ? change_lease : change_take)(c, &p->row, token, grant_placed_runner(p)->id,
                                             expires_at);
    assert(r == 0); /* it is READY, and its run is locked */
    reply_lease(o, p, expires_at, ret);
}

static int write_traces(struct grant_state *o)
{
    struct sets traces = {0}, trims = {0}, given = {0};
    struct tx *tx = o->tx;
    int r;

    for (size_t i = 0; i < o->placed_n; i++) {
        const struct grant_placed *p = &o->placed[i];

        if (p->dropped)
            continue;
        p->demand->runners.info[p->runner].token = p->row.token;
        SETS_ADD(&traces, tx->arena, INT(p->row.token), INT(p->row.id), INT(p->row.run),
                 INT(p->row.worker), INT(tx->now), TEXT(p->candidates));
        if (row_text(&o->ready, p->at, GRANT_READY_OUTCOME).n) /* it was given out before */
            SETS_ADD(&trims, tx->arena, INT(p->row.id), INT(GRANT_TRACES_MAX));
    }
    for (size_t i = 0; i < o->runners.n; i++)
        if (o->runners.info[i].token)
            SETS_ADD(&given, tx->arena, INT(o->runners.place[i].id), INT(o->runners.info[i].token));
    r = sets_run(&traces, tx, STMT_grant_add, 6, NULL);
    if (!r)
        r = sets_run(&trims, tx, STMT_grant_trim, 2, NULL);
    if (!r)
        r = sets_run(&given, tx, STMT_grant_given, 2, NULL);
    return r ? fault(r) : 0;
}

int grant_write_all(struct grant_state *o, struct grant_leases *reply)
{
    struct change c;
    int64_t *tokens;
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < o->placed_n; i++)
        n += !o->placed[i].dropped;
    reply->list = ARENA_ARRAY(o->tx->arena, struct grant_lease, n);
    tokens = ARENA_ARRAY(o->tx->arena, int64_t, n);
    if (n)
        r = store_ids(o->tx->store, n, tokens);
    if (r || n == 0)
        return r ? fault(r) : 0;
    change_init(&c, o->tx);
    for (size_t i = 0; i < o->placed_n; i++)
        if (!o->placed[i].dropped) {
            grant_one(o, &c, &o->placed[i], tokens[reply->n], &reply->list[reply->n]);
            reply->n++;
        }
    r = change_write(&c);
    if (!r)
        r = write_traces(o);
    return r ? fault(r) : 0;
}
