/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round. The demands that have READY stages are walked, and those for which a runner has room are
 * asked for their runs; the runs are locked (those of somebody else are passed over), then the
 * stages that may go are read, runs taking turns: nobody else moves them now. Each is placed by the
 * core, then the runners that were chosen are locked and what they hold is counted anew.
 */
#include "engine/grant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/grant_args.h"
#include "engine/grant_runner.h"
#include "engine/sets.h"

/* When to look again at runs that somebody else was writing. */
#define PASSED_OVER_US (10 * CLOCK_MS)
/* A walk of several rounds may miss what changes behind it. */
#define WALK_AGAIN_US CLOCK_S

/* Where the statement that says so puts what follows the task row. */
enum {
    READY_ACCEPT = ROW_TASK_COLUMNS,
    READY_PROGRESS,
    READY_REFUSALS,
    READY_OUTCOME,
    READY_PLACE
};

/* A run that has READY stages of a demand, in the order of turns. */
struct turn {
    int64_t run;
    size_t *stages; /* rows of the answer */
    size_t n, dealt;
    int64_t asked;
    bool locked;
};

struct demand {
    struct str text;
    struct placement_demand placement;
    struct grant_runners runners; /* of its type */
    int64_t room;                 /* leases that they may have at most */
    struct turn *turns;
    size_t turns_n;
    int64_t served; /* the run that got the last one; 0: none */
    bool left;      /* not all of its stages were looked at */
};

/* A stage that has been placed. */
struct placed {
    struct task_row row;
    size_t at; /* its row in the answer */
    struct demand *demand;
    size_t runner; /* among those of the demand */
    struct str candidates;
    struct str args;
    bool dropped;
};

struct room {
    int64_t run, left;
};

struct round {
    struct tx *tx;
    const struct grant_round *req;
    struct grant_runners runners;
    struct demand *demands;
    size_t demands_n;
    struct room *runs; /* that are locked and go on, by id */
    size_t runs_n;
    struct rows ready;
    struct placed *placed;
    size_t placed_n;
    bool passed_over, waited;
    bool cut; /* more could have been given out */
    enum placement_verdict *verdicts;
};

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
static int read_demands(struct round *o, struct str *ret_last, bool *ret_all)
{
    struct tx *tx = o->tx;
    struct rows rows;
    int r = STORE_DO(tx->store, STMT_grant_demands, tx->arena, &rows, TEXT(o->req->after),
                     INT(GRANT_DEMANDS_MAX));

    if (r)
        return fault(r);
    o->demands = ARENA_ARRAY(tx->arena, struct demand, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        struct demand *d = &o->demands[o->demands_n];

        *d = (struct demand){.text = row_text(&rows, i, 0)};
        o->demands_n += placement_demand_parse(tx->arena, d->text, &d->placement);
    }
    *ret_all = rows.n < GRANT_DEMANDS_MAX;
    *ret_last = *ret_all ? STR("") : row_text(&rows, rows.n - 1, 0);
    return 0;
}

static int read_runners(struct round *o)
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

/* How many stages of a demand could go now. */
static int64_t room_for(const struct demand *d, int64_t max)
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
static void keep_demands_with_room(struct round *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct demand d = o->demands[i];

        d.runners = grant_runners_of(&o->runners, d.placement.type);
        d.room = room_for(&d, o->req->max);
        if (d.room > 0)
            o->demands[n++] = d;
    }
    o->demands_n = n;
}

static void add_turns(struct round *o, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct demand *d = &o->demands[row_int(rows, i, 0)];

        assert(d->turns_n < GRANT_RUNS_MAX);
        d->turns[d->turns_n++] = (struct turn){.run = row_int(rows, i, 1)};
    }
}

/* The runs of each demand: those after the last one that was served, and then from the first. */
static int read_turns(struct round *o)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int r;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct demand *d = &o->demands[i];

        d->turns = ARENA_ARRAY(o->tx->arena, struct turn, GRANT_RUNS_MAX);
        SETS_ADD(&sets, o->tx->arena, INT(i), TEXT(d->text), INT(turn_of(&o->req->turns, d->text)),
                 INT(INT64_MAX), INT(least(d->room, GRANT_RUNS_MAX)));
    }
    r = sets_run(&sets, o->tx, STMT_grant_runs, 5, &rows);
    if (r)
        return fault(r);
    add_turns(o, &rows);
    for (size_t i = 0; i < o->demands_n; i++) {
        const struct demand *d = &o->demands[i];
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

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int by_run(const void *a, const void *b)
{
    const struct room *x = a, *y = b;

    return (x->run > y->run) - (x->run < y->run);
}

static struct room *room_of(const struct round *o, int64_t run)
{
    if (o->runs_n == 0)
        return NULL;
    return bsearch(&(struct room){.run = run}, o->runs, o->runs_n, sizeof(*o->runs), by_run);
}

/* The runs that are named, each once, in order. */
static size_t name_runs(const struct round *o, int64_t **ret)
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
        qsort(*ret, n, sizeof(**ret), by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || (*ret)[kept - 1] != (*ret)[i])
            (*ret)[kept++] = (*ret)[i];
    return kept;
}

static void add_rooms(struct round *o, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        int64_t max = row_int(rows, i, 2), held = row_int(rows, i, 3);

        if (!str_eq(row_text(rows, i, 1), run_state_text(RUN_RUNNING)))
            continue;
        o->runs[o->runs_n++] = (struct room){
            .run = row_int(rows, i, 0),
            .left = max == 0     ? INT64_MAX
                    : max > held ? max - held
                                 : 0,
        };
    }
}

/* Lock the runs. Where all of them are somebody else's just now, the first is waited for, so that a
 * run which is always busy is not passed over for ever. */
static int lock_runs(struct round *o)
{
    struct sets sets = {0};
    struct rows rows = {0};
    int64_t *runs;
    size_t n = name_runs(o, &runs);
    int r;

    o->runs = ARENA_ARRAY(o->tx->arena, struct room, n);
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
static int read_stages(struct round *o)
{
    struct sets sets = {0};
    int r;

    for (size_t i = 0; i < o->demands_n; i++) {
        struct demand *d = &o->demands[i];
        int64_t share = d->turns_n ? (d->room + (int64_t)d->turns_n - 1) / (int64_t)d->turns_n : 0;

        d->left = d->turns_n == GRANT_RUNS_MAX;
        for (size_t j = 0; j < d->turns_n; j++) {
            struct turn *t = &d->turns[j];
            const struct room *room = room_of(o, t->run);

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
        size_t place = (size_t)row_int(&o->ready, i, READY_PLACE);
        struct turn *t = &o->demands[place / GRANT_RUNS_MAX].turns[place % GRANT_RUNS_MAX];

        t->stages[t->n++] = i;
        o->demands[place / GRANT_RUNS_MAX].left |= (int64_t)t->n == t->asked;
    }
    return 0;
}

/* Of the runners, those that refused the stage since all of them were asked the last time. */
static int mark_refusers(struct round *o, const struct demand *d, int64_t task, int64_t refusals)
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
static struct str candidates(struct round *o, const struct grant_runners *runners, size_t chosen)
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
static int place(struct round *o, struct demand *d, size_t at, bool *ret_placed)
{
    int64_t refusals = row_int(&o->ready, at, READY_REFUSALS);
    struct placed *p = &o->placed[o->placed_n];
    int r = row_task(o->tx, &o->ready, at, &p->row);

    if (!r && refusals && str_eq(row_text(&o->ready, at, READY_OUTCOME), STR("rejected")))
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
static int place_demand(struct round *o, struct demand *d)
{
    bool placed = true, any = true;
    int r = 0;

    while (!r && any && placed) {
        any = false;
        for (size_t j = 0; !r && placed && j < d->turns_n; j++) {
            struct turn *t = &d->turns[j];
            struct room *room = room_of(o, t->run);

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
    o->cut |= d->left && room_for(d, 1) > 0;
    return r ? fault(r) : 0;
}

static int place_all(struct round *o)
{
    int r = 0;

    o->placed = ARENA_ARRAY(o->tx->arena, struct placed, (size_t)o->req->max + 1);
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

static struct placement_runner *runner_of(const struct placed *p)
{
    return &p->demand->runners.place[p->runner];
}

/* Lock those that were chosen, by id, and see what they may get. */
static int lock_chosen(struct round *o, struct chosen *list, size_t n)
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

/* Since they were read, other servers may have filled their slots, or they may be over: what does
 * not fit any more stays READY, for the next round. */
static int settle_runners(struct round *o)
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
        struct placed *p = &o->placed[i];

        p->dropped = chosen_of(list, n, runner_of(p)->id)->room-- <= 0;
        o->cut |= p->dropped;
    }
    return 0;
}

/* The args of those that go, and of no others: they may be large. */
static int read_args(struct round *o)
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
        struct placed *p = &o->placed[i];

        if (p->dropped)
            continue;
        if (at < kept)
            p->args = args[at++];
        else
            p->dropped = o->cut = true;
    }
    return r ? fault(r) : 0;
}

/* Of each demand, the run that was served last. */
static void take_turns(struct round *o, struct grant_turns *turns)
{
    for (size_t i = 0; i < o->placed_n; i++)
        if (!o->placed[i].dropped)
            o->placed[i].demand->served = o->placed[i].row.run;
    for (size_t i = 0; i < o->demands_n; i++)
        if (o->demands[i].served)
            take_turn(turns, o->demands[i].text, o->demands[i].served);
}

static int64_t accept_us(const struct round *o, const struct placed *p)
{
    int64_t us = row_int(&o->ready, p->at, READY_ACCEPT);

    if (us <= 0)
        us = GRANT_ACCEPT_US;
    return p->row.timeout_us && p->row.timeout_us < us ? p->row.timeout_us : us;
}

static void reply_lease(const struct round *o, struct placed *p, int64_t expires_at,
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
        .progress_us = row_int(&o->ready, p->at, READY_PROGRESS),
        .ready_at = p->row.ready_at,
    };
}

/* Write one: a sync stage starts with its grant, an async one when its runner has accepted it. */
static void grant_one(struct round *o, struct change *c, struct placed *p, int64_t token,
                      struct grant_lease *ret)
{
    bool async = p->demand->placement.mode == PLACEMENT_ASYNC;
    int64_t expires_at = o->tx->now + (async ? accept_us(o, p) : GRANT_KEEP_US);
    int r;

    p->row.runner = p->demand->runners.info[p->runner].name;
    r = (async ? change_lease : change_take)(c, &p->row, token, runner_of(p)->id, expires_at);
    assert(r == 0); /* it is READY, and its run is locked */
    reply_lease(o, p, expires_at, ret);
}

static int write_traces(struct round *o)
{
    struct sets traces = {0}, trims = {0}, given = {0};
    struct tx *tx = o->tx;
    int r;

    for (size_t i = 0; i < o->placed_n; i++) {
        const struct placed *p = &o->placed[i];

        if (p->dropped)
            continue;
        p->demand->runners.info[p->runner].token = p->row.token;
        SETS_ADD(&traces, tx->arena, INT(p->row.token), INT(p->row.id), INT(p->row.run),
                 INT(p->row.worker), INT(tx->now), TEXT(p->candidates));
        if (row_text(&o->ready, p->at, READY_OUTCOME).n) /* it was given out before */
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

static int grant_all(struct round *o, struct grant_leases *reply)
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
static int place_stages(struct round *o, struct grant_turns *turns)
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
        r = place_all(o);
    if (!r)
        r = settle_runners(o);
    if (!r)
        r = read_args(o);
    if (!r)
        take_turns(o, turns);
    return r ? fault(r) : 0;
}

int grant_round(struct tx *tx, const struct grant_round *req, struct grant_leases *reply)
{
    struct round o = {.tx = tx, .req = req};
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
        r = grant_all(&o, reply);
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
