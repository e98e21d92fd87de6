/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round. The demands that have READY stages are walked, and those for which a runner has room are
 * asked for their runs; the runs are locked (those of somebody else are passed over), then the
 * stages that may go are read, runs taking turns: nobody else moves them now. Each is placed by the
 * core, then the runners that were chosen are locked and what they hold is counted anew
 * (grant_place.c); then leases and traces are written (grant_write.c).
 */
#include "engine/grant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "engine/grant_args.h"
#include "engine/grant_state.h"
#include "engine/sets.h"

/* When to look again at runs that somebody else was writing. */
#define PASSED_OVER_US (10 * CLOCK_MS)
/* A walk of several rounds may miss what changes behind it. */
#define WALK_AGAIN_US CLOCK_S

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* FNV-1a. Demands that share a digest take one turn; it is the order alone that they share. */
static uint64_t digest(struct str s)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

static int64_t turn_of(const struct grant_turns *turns, struct str demand)
{
    uint64_t d = digest(demand);

    for (size_t i = 0; i < turns->n && i < GRANT_TURNS_MAX; i++)
        if (turns->list[i].demand == d)
            return turns->list[i].run;
    return 0;
}

/* The newest stands last; with too many of them the oldest is forgotten. */
static void take_turn(struct grant_turns *turns, struct str demand, int64_t run)
{
    uint64_t d = digest(demand);
    size_t at = 0;

    while (at < turns->n && turns->list[at].demand != d)
        at++;
    if (at == turns->n && turns->n < GRANT_TURNS_MAX)
        turns->n++;
    else if (at == turns->n)
        at = 0;
    memmove(&turns->list[at], &turns->list[at + 1], (turns->n - 1 - at) * sizeof(turns->list[0]));
    turns->list[turns->n - 1] = (struct grant_turn){d, run};
}

/* The demands with what they ask for; a text that is none is served by nobody. */
static int read_demands(struct grant_state *o, struct str *ret_last, bool *ret_all)
{
    struct tx *tx = o->tx;
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_grant_demands, tx->arena, &rows, TEXT(o->req->after),
                     INT(GRANT_DEMANDS_MAX));

    if (r)
        return fault(r);
    o->demands = ARENA_ARRAY(tx->arena, struct grant_demand, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        struct grant_demand *d = &o->demands[o->demands_n];

        *d = (struct grant_demand){.text = row_text(&rows, i, 0)};
        o->demands_n += placement_demand_parse(tx->arena, d->text, &d->placement);
    }
    *ret_all = rows.n < GRANT_DEMANDS_MAX;
    *ret_last = *ret_all ? STR("") : row_text(&rows, rows.n - 1, 0);
    return 0;
}

static int read_runners(struct grant_state *o)
{
    struct str *types = ARENA_ARRAY(o->tx->arena, struct str, o->demands_n);
    int r;

    for (size_t i = 0; i < o->demands_n; i++)
        types[i] = o->demands[i].placement.type;
    r = grant_runners_read(o->tx, types, o->demands_n, o->req->excluded, o->req->excluded_n,
                           &o->runners);
    o->verdicts = ARENA_ARRAY(o->tx->arena, enum placement_verdict, o->runners.n);
    return r ? fault(r) : 0;
}

int64_t grant_room_for(const struct grant_demand *d, int64_t max)
{
    int64_t room = 0;

    for (size_t i = 0; i < d->runners.n && room < max; i++) {
        const struct placement_runner *p = &d->runners.place[i];

        if (p->health != PLACEMENT_FIT || p->breaker_open || !placement_serves(p, &d->placement))
            continue;
        if (p->slots == 0)
            return max;
        room += p->load < p->slots ? p->slots - p->load : 0;
    }
    return least(room, max);
}

/* Those that no runner can serve now cost no more than this look. */
static void keep_demands_with_room(struct grant_state *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct grant_demand d = o->demands[i];

        d.runners = grant_runners_of(&o->runners, d.placement.type);
        d.room = grant_room_for(&d, o->req->max);
        if (d.room > 0)
            o->demands[n++] = d;
    }
    o->demands_n = n;
}

static void add_turns(struct grant_state *o, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct grant_demand *d = &o->demands[row_int(rows, i, 0)];

        assert(d->turns_n < GRANT_RUNS_MAX);
        d->turns[d->turns_n++] = (struct grant_run){.run = row_int(rows, i, 1)};
    }
}

/* The runs of each demand: those after the last one that was served, and then from the first. */
static int read_turns(struct grant_state *o)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int r;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct grant_demand *d = &o->demands[i];

        d->turns = ARENA_ARRAY(o->tx->arena, struct grant_run, GRANT_RUNS_MAX);
        SETS_ADD(&sets, o->tx->arena, INT(i), TEXT(d->text), INT(turn_of(&o->req->turns, d->text)),
                 INT(INT64_MAX), INT(least(d->room, GRANT_RUNS_MAX)));
    }
    r = sets_run(&sets, o->tx, STMT_grant_runs, 5, &rows);
    if (r)
        return fault(r);
    add_turns(o, &rows);
    for (size_t i = 0; i < o->demands_n; i++) {
        const struct grant_demand *d = &o->demands[i];
        int64_t wanted = least(d->room, GRANT_RUNS_MAX) - (int64_t)d->turns_n;
        int64_t turn = turn_of(&o->req->turns, d->text);

        if (wanted > 0 && turn > 0)
            SETS_ADD(&sets, o->tx->arena, INT(i), TEXT(d->text), INT(0), INT(turn), INT(wanted));
    }
    rows = (struct rows){0};
    r = sets_run(&sets, o->tx, STMT_grant_runs, 5, &rows);
    if (!r)
        add_turns(o, &rows);
    return r ? fault(r) : 0;
}

static int by_run(const void *a, const void *b)
{
    const struct grant_room *x = a, *y = b;

    return (x->run > y->run) - (x->run < y->run);
}

struct grant_room *grant_room_of(const struct grant_state *o, int64_t run)
{
    if (o->runs_n == 0)
        return NULL;
    return bsearch(&(struct grant_room){.run = run}, o->runs, o->runs_n, sizeof(*o->runs), by_run);
}

/* The runs that are named, each once, in order. */
static size_t name_runs(const struct grant_state *o, int64_t **ret)
{
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < o->demands_n; i++)
        n += o->demands[i].turns_n;
    *ret = ARENA_ARRAY(o->tx->arena, int64_t, n);
    n = 0;
    for (size_t i = 0; i < o->demands_n; i++)
        for (size_t j = 0; j < o->demands[i].turns_n; j++)
            (*ret)[n++] = o->demands[i].turns[j].run;
    if (n)
        qsort(*ret, n, sizeof(**ret), sets_by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || (*ret)[kept - 1] != (*ret)[i])
            (*ret)[kept++] = (*ret)[i];
    return kept;
}

static void add_rooms(struct grant_state *o, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        int64_t max = row_int(rows, i, 2), held = row_int(rows, i, 3);

        if (!str_eq(row_text(rows, i, 1), run_state_text(RUN_RUNNING)))
            continue;
        o->runs[o->runs_n++] = (struct grant_room){
            .run = row_int(rows, i, 0),
            .left = max == 0     ? INT64_MAX
                    : max > held ? max - held
                                 : 0,
        };
    }
}

/* Lock the runs. Where all of them are somebody else's just now, the first is waited for, so that a
 * run which is always busy is not passed over for ever. */
static int lock_runs(struct grant_state *o)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int64_t *runs;
    size_t n = name_runs(o, &runs);
    int r;

    o->runs = ARENA_ARRAY(o->tx->arena, struct grant_room, n);
    for (size_t i = 0; i < n; i++)
        SETS_ADD(&sets, o->tx->arena, INT(runs[i]));
    r = sets_run(&sets, o->tx, STMT_grant_runs_lock, 1, &rows);
    o->waited = n && rows.n == 0;
    if (!r && o->waited)
        r = STORE_DO(o->tx->store, STMT_grant_run_wait, o->tx->arena, &rows, INT(runs[0]));
    if (r)
        return fault(r);
    o->passed_over = rows.n < n;
    add_rooms(o, &rows);
    return 0;
}

/* As many of each run as are its share. */
static int read_stages(struct grant_state *o)
{
    struct sets sets = {0};
    int r;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct grant_demand *d = &o->demands[i];
        int64_t share = d->turns_n ? (d->room + (int64_t)d->turns_n - 1) / (int64_t)d->turns_n : 0;

        d->left = d->turns_n == GRANT_RUNS_MAX;
        for (size_t j = 0; j < d->turns_n; j++) {
            struct grant_run *t = &d->turns[j];
            const struct grant_room *room = grant_room_of(o, t->run);

            t->asked = room ? least(share, room->left) : 0;
            if (t->asked == 0)
                continue;
            t->stages = ARENA_ARRAY(o->tx->arena, size_t, (size_t)t->asked);
            SETS_ADD(&sets, o->tx->arena, INT(i * GRANT_RUNS_MAX + j), TEXT(d->text), INT(t->run),
                     INT(t->asked));
        }
    }
    r = sets_run(&sets, o->tx, STMT_grant_ready, 4, &o->ready);
    if (r)
        return fault(r);
    for (size_t i = 0; i < o->ready.n; i++) {
        size_t place = (size_t)row_int(&o->ready, i, GRANT_READY_PLACE);
        struct grant_run *t = &o->demands[place / GRANT_RUNS_MAX].turns[place % GRANT_RUNS_MAX];

        t->stages[t->n++] = i;
        o->demands[place / GRANT_RUNS_MAX].left |= (int64_t)t->n == t->asked;
    }
    return 0;
}

/* Of each demand, the run that was served last. */
static void take_turns(struct grant_state *o, struct grant_turns *turns)
{
    for (size_t i = 0; i < o->placed_n; i++)
        if (!o->placed[i].dropped)
            o->placed[i].demand->served = o->placed[i].row.run;
    for (size_t i = 0; i < o->demands_n; i++)
        if (o->demands[i].served)
            take_turn(turns, o->demands[i].text, o->demands[i].served);
}

static int check(struct tx *tx, const struct grant_round *req)
{
    if (req->max < 1 || req->max > GRANT_MAX)
        return tx_refuse(tx, CODE_INVALID, "a round grants 1 to %u leases, not %" PRId64, GRANT_MAX,
                         req->max);
    if (req->excluded_n > GRANT_EXCLUDED_MAX)
        return tx_refuse(tx, CODE_INVALID, "a round leaves out at most %u runners, not %zu",
                         GRANT_EXCLUDED_MAX, req->excluded_n);
    return 0;
}

/* What may go, read and locked; then placed. */
static int place_stages(struct grant_state *o, struct grant_turns *turns)
{
    int r;

    keep_demands_with_room(o);
    if (o->demands_n == 0)
        return 0;
    r = read_turns(o);
    if (!r)
        r = lock_runs(o);
    if (!r)
        r = read_stages(o);
    if (!r)
        r = grant_place_all(o);
    if (!r)
        r = grant_place_settle(o);
    if (!r)
        r = grant_write_args(o);
    if (!r)
        take_turns(o, turns);
    return r ? fault(r) : 0;
}

int grant_round(struct tx *tx, const struct grant_round *req, struct grant_leases *reply)
{
    struct grant_state o = {.tx = tx, .req = req};
    bool all = false;
    int r = check(tx, req);

    if (r)
        return r;
    *reply = (struct grant_leases){.turns = req->turns};
    r = read_demands(&o, &reply->after, &all);
    if (!r)
        r = read_runners(&o);
    if (!r)
        r = place_stages(&o, &reply->turns);
    if (!r)
        r = grant_write_all(&o, reply);
    if (!r)
        r = grant_checks(tx, reply);
    if (r)
        return fault(r);
    /* Who has waited for a run has read what was before that. */
    o.cut |= o.waited && o.placed_n == 0;
    reply->turns.cut = o.cut || (req->after.n && req->turns.cut);
    reply->more = !all || reply->turns.cut;
    if (o.passed_over)
        reply->next_at = tx->now + PASSED_OVER_US;
    else if (!reply->more && req->after.n)
        reply->next_at = tx->now + WALK_AGAIN_US;
    return 0;
}
