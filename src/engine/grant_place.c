/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which runner gets which stage: by what was read of the runners, and once more with the rows of
 * those that were chosen locked.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/fault.h"
#include "engine/grant_state.h"
#include "engine/sets.h"

/* Of the runners, those that refused the stage since all of them were asked the last time. */
static int mark_refusers(struct grant_state *o, const struct grant_demand *d, int64_t task,
                         int64_t refusals)
{
    int64_t of = grant_runners_count(&d->runners, &d->placement), asked;
    struct rows rows;
    struct sets sets = {0};
    int r;

    asked = of ? refusals % of : 0;
    SETS_ADD(&sets, o->tx->arena, INT(task), INT(asked ? asked : 1));
    r = sets_run(&sets, o->tx, STMT_grant_refusers, 2, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n && str_eq(row_text(&rows, i, 2), STR("rejected")); i++)
        for (size_t j = 0; j < d->runners.n; j++)
            d->runners.place[j].refused |= d->runners.place[j].id == row_int(&rows, i, 1);
    return 0;
}

static void candidate(struct buf *b, const struct placement_runner *p, const struct grant_runner *i,
                      enum placement_verdict v)
{
    buf_add(b, STR("{\"runner\":"));
    buf_json(b, i->name);
    buf_printf(b, ",\"load\":%" PRId64 ",\"slots\":%" PRId64 ",\"verdict\":\"%s\"}", p->load,
               p->slots, placement_verdict_text(v).p);
}

/* What the trace keeps: the chosen one, the others by id as far as there is room, and counts. */
static struct str candidates(struct grant_state *o, const struct grant_runners *runners,
                             size_t chosen)
{
    int64_t more[PLACEMENT_VERDICT_N] = {0};
    struct str ret;
    struct buf b;
    size_t named = 1;

    buf_init(&b, GRANT_CANDIDATES_MAX * (6 * WORKER_NAME_BYTES_MAX + 200) + 2000);
    buf_byte(&b, '[');
    candidate(&b, &runners->place[chosen], &runners->info[chosen], PLACEMENT_CHOSEN);
    for (size_t i = 0; i < runners->n; i++) {
        if (i == chosen)
            continue;
        if (named++ >= GRANT_CANDIDATES_MAX) {
            more[o->verdicts[i]]++;
            continue;
        }
        buf_byte(&b, ',');
        candidate(&b, &runners->place[i], &runners->info[i], o->verdicts[i]);
    }
    for (int v = 0; v < PLACEMENT_VERDICT_N; v++)
        if (more[v])
            buf_printf(&b, ",{\"more\":%" PRId64 ",\"verdict\":\"%s\"}", more[v],
                       placement_verdict_text((enum placement_verdict)v).p);
    buf_byte(&b, ']');
    ret = str_copy(o->tx->arena, buf_str(&b));
    buf_deinit(&b);
    return ret;
}

/* Place a stage. *ret_placed is false where nobody has room for it. */
static int place(struct grant_state *o, struct grant_demand *d, size_t at, bool *ret_placed)
{
    int64_t refusals = row_int(&o->ready, at, GRANT_READY_REFUSALS);
    struct grant_placed *p = &o->placed[o->placed_n];
    int r = row_task(o->tx, &o->ready, at, &p->row);

    if (!r && refusals && str_eq(row_text(&o->ready, at, GRANT_READY_OUTCOME), STR("rejected")))
        r = mark_refusers(o, d, p->row.id, refusals);
    if (r)
        return fault(r);
    p->at = at;
    p->demand = d;
    p->runner = placement_choose(&d->placement, d->runners.place, d->runners.n, o->verdicts);
    *ret_placed = p->runner != PLACEMENT_NOBODY;
    if (*ret_placed) {
        p->candidates = candidates(o, &d->runners, p->runner);
        d->runners.place[p->runner].load++;
        d->runners.place[p->runner].granted = INT64_MAX / 2 + (int64_t)o->placed_n;
        d->runners.info[p->runner].given++;
        o->placed_n++;
    }
    for (size_t i = 0; refusals && i < d->runners.n; i++)
        d->runners.place[i].refused = false;
    return 0;
}

/* One stage of each run, and then the next one of each. */
static int place_demand(struct grant_state *o, struct grant_demand *d)
{
    bool placed = true, any = true;
    int r = 0;

    while (!r && any && placed) {
        any = false;
        for (size_t j = 0; !r && placed && j < d->turns_n; j++) {
            struct grant_run *t = &d->turns[j];
            struct grant_room *room = grant_room_of(o, t->run);

            if (t->dealt == t->n || room->left == 0)
                continue;
            if ((int64_t)o->placed_n == o->req->max) {
                o->cut = true;
                return 0;
            }
            any = true;
            r = place(o, d, t->stages[BROKEN(DOUBLE) ? 0 : t->dealt], &placed);
            t->dealt++;
            room->left -= placed;
        }
    }
    o->cut |= d->left && grant_room_for(d, 1) > 0;
    return r ? fault(r) : 0;
}

int grant_place_all(struct grant_state *o)
{
    int r = 0;

    o->placed = ARENA_ARRAY(o->tx->arena, struct grant_placed, (size_t)o->req->max + 1);
    for (size_t i = 0; !r && i < o->demands_n; i++)
        r = place_demand(o, &o->demands[i]);
    return r ? fault(r) : 0;
}

/* A runner that was chosen, found by its id. */
struct chosen {
    int64_t id;
    int64_t room; /* leases that it may get, now that its row is locked */
};

static int by_chosen(const void *a, const void *b)
{
    const struct chosen *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static struct chosen *chosen_of(struct chosen *list, size_t n, int64_t id)
{
    struct chosen *c = bsearch(&(struct chosen){.id = id}, list, n, sizeof(*list), by_chosen);

    assert(c);
    return c;
}

/* Lock those that were chosen, by id, and see what they may get. */
static int lock_chosen(struct grant_state *o, struct chosen *list, size_t n)
{
    struct sets sets = {0};
    struct rows workers = {0}, busy = {0};
    struct store_ask asks[2];
    int r;

    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, o->tx->arena, INT(list[i].id));
    asks[0] = sets_ask(&sets, STMT_worker_lock_many, 1, &workers);
    asks[1] = asks[0];
    asks[1].id = STMT_worker_busy;
    asks[1].ret = &busy;
    r = store_ask(o->tx->store, o->tx->arena, asks, 2);
    for (size_t i = 0; !r && i < workers.n; i++) {
        struct worker_row w;

        r = row_worker(o->tx, &workers, i, &w);
        if (!r && worker_claims(w.state))
            chosen_of(list, n, w.incarnation)->room = w.slots ? w.slots : INT64_MAX;
    }
    for (size_t i = 0; !r && i < busy.n; i++)
        chosen_of(list, n, row_int(&busy, i, 0))->room -= row_int(&busy, i, 1);
    return r ? fault(r) : 0;
}

int grant_place_settle(struct grant_state *o)
{
    struct chosen *list = ARENA_ARRAY(o->tx->arena, struct chosen, o->runners.n);
    size_t n = 0;
    int r;

    for (size_t i = 0; i < o->runners.n; i++)
        if (o->runners.info[i].given)
            list[n++] = (struct chosen){.id = o->runners.place[i].id};
    if (n == 0)
        return 0;
    qsort(list, n, sizeof(*list), by_chosen);
    r = lock_chosen(o, list, n);
    if (r)
        return fault(r);
    for (size_t i = 0; i < o->placed_n; i++) {
        struct grant_placed *p = &o->placed[i];

        p->dropped = chosen_of(list, n, grant_placed_runner(p)->id)->room-- <= 0;
        o->cut |= p->dropped;
    }
    return 0;
}
