/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/grant_runner.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/clock.h"
#include "base/fault.h"
#include "engine/grant.h"
#include "engine/labels.h"
#include "engine/sets.h"

/* The first wait after all have refused; then twice as long each time. */
#define PUT_OFF_US     CLOCK_S
#define PUT_OFF_US_MAX (60 * CLOCK_S)

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum placement_health health(enum worker_state state, int64_t beat_at, int64_t ttl_us,
                                    int64_t now)
{
    enum worker_event silence;

    if (state == WORKER_DRAINING)
        return PLACEMENT_LEAVING;
    if (!worker_claims(state) ||
        (worker_silence(beat_at, ttl_us, now, &silence) && silence == WORKER_EVENT_EXPIRE))
        return PLACEMENT_LATE;
    return PLACEMENT_FIT;
}

/* Labels are read as those of any worker, and laid out as the core has them. */
static bool read_labels(struct arena *a, struct str json, struct placement_labels *ret)
{
    struct worker_labels labels;
    struct placement_label *list;

    *ret = (struct placement_labels){0};
    if (str_eq(json, STR("{}")))
        return true;
    if (!labels_parse(a, json, &labels))
        return false;
    list = ARENA_ARRAY(a, struct placement_label, labels.n);
    for (size_t i = 0; i < labels.n; i++)
        list[i] = (struct placement_label){labels.list[i].name, labels.list[i].value};
    *ret = (struct placement_labels){list, labels.n};
    return true;
}

static int read_runner(struct tx *tx, const struct cell *c, struct placement_runner *ret,
                       struct grant_runner *ret_info)
{
    enum worker_state state;

    *ret = (struct placement_runner){
        .id = c[0].i, .type = c[2].s, .slots = c[6].i, .granted = c[10].i, .load = c[11].i};
    if (BROKEN(LOAD))
        ret->load *= 2;
    *ret_info = (struct grant_runner){.name = c[1].s, .address = c[3].s};
    if (!placement_modes_parse(c[4].s, &ret->modes) || !worker_state_parse(c[7].s, &state) ||
        !read_labels(tx->arena, c[5].s, &ret->labels))
        return tx_damaged(tx,
                          "runner %" PRId64 " has modes, labels or a state that cannot be: "
                          "\"%.*s\", \"%.*s\"",
                          ret->id, ROW_SHOWN(c[4].s), ROW_SHOWN(c[7].s));
    ret->health = health(state, c[8].i, c[9].i, tx->now);
    return 0;
}

/* Each type once, in order. */
static int ask(struct tx *tx, const struct str *types, size_t n, struct rows *ret)
{
    struct str *sorted = ARENA_ARRAY(tx->arena, struct str, n);
    struct sets sets = {0};

    for (size_t i = 0; i < n; i++)
        sorted[i] = types[i];
    if (n)
        qsort(sorted, n, sizeof(*sorted), by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(sorted[i], sorted[i - 1]))
            SETS_ADD(&sets, tx->arena, TEXT(sorted[i]));
    return sets_run(&sets, tx, STMT_grant_runners, 1, ret);
}

int grant_runners_read(struct tx *tx, const struct str *types, size_t types_n,
                       const int64_t *excluded, size_t excluded_n, struct grant_runners *ret)
{
    int64_t *out = ARENA_ARRAY(tx->arena, int64_t, excluded_n);
    struct rows rows = {0};
    int r = ask(tx, types, types_n, &rows);

    if (r)
        return fault(r);
    if (excluded_n) {
        memcpy(out, excluded, excluded_n * sizeof(*out));
        qsort(out, excluded_n, sizeof(*out), sets_by_number);
    }
    *ret = (struct grant_runners){
        .place = ARENA_ARRAY(tx->arena, struct placement_runner, rows.n),
        .info = ARENA_ARRAY(tx->arena, struct grant_runner, rows.n),
        .n = rows.n,
    };
    for (size_t i = 0; !r && i < rows.n; i++) {
        r = read_runner(tx, rows.cells + i * rows.columns, &ret->place[i], &ret->info[i]);
        ret->place[i].breaker_open =
            excluded_n && bsearch(&ret->place[i].id, out, excluded_n, sizeof(*out), sets_by_number);
    }
    return r ? fault(r) : 0;
}

struct grant_runners grant_runners_of(const struct grant_runners *all, struct str type)
{
    size_t first = 0, end;

    while (first < all->n && !str_eq(all->place[first].type, type))
        first++;
    for (end = first; end < all->n && str_eq(all->place[end].type, type); end++)
        ;
    if (first == end)
        return (struct grant_runners){0};
    return (struct grant_runners){all->place + first, all->info + first, end - first};
}

int64_t grant_runners_count(const struct grant_runners *some, const struct placement_demand *d)
{
    int64_t n = 0;

    for (size_t i = 0; i < some->n; i++)
        n += some->place[i].health == PLACEMENT_FIT && placement_serves(&some->place[i], d);
    return n;
}

/* Where a task stands in a request. */
struct place {
    int64_t task;
    size_t at;
};

static int by_task(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->task > y->task) - (x->task < y->task);
}

int grant_plans(struct tx *tx, const int64_t *ids, size_t n, struct grant_plan *ret)
{
    struct place *places = ARENA_ARRAY(tx->arena, struct place, n);
    struct sets sets = {0};
    struct rows rows = {0};
    int r;

    for (size_t i = 0; i < n; i++) {
        ret[i] = (struct grant_plan){.task = ids[i]};
        places[i] = (struct place){ids[i], i};
        SETS_ADD(&sets, tx->arena, INT(ids[i]));
    }
    r = sets_run(&sets, tx, STMT_grant_plan, 1, &rows);
    if (r || n == 0)
        return r ? fault(r) : 0;
    qsort(places, n, sizeof(*places), by_task);
    for (size_t i = 0; i < rows.n; i++) {
        const struct cell *c = rows.cells + i * rows.columns;
        const struct place *p =
            bsearch(&(struct place){.task = c[0].i}, places, n, sizeof(*places), by_task);

        assert(p);
        ret[p->at] = (struct grant_plan){c[0].i, c[1].i, c[2].i,
                                         str_eq(c[4].s, STR("rejected")) ? c[3].i : 0};
    }
    return 0;
}

/* When as many have refused as there are to ask, it waits before they are asked again. */
static int64_t put_off(int64_t refusals, int64_t candidates)
{
    int64_t rounds, wait_us = PUT_OFF_US;

    if (candidates == 0 || refusals % candidates != 0)
        return 0;
    for (rounds = refusals / candidates; rounds > 1 && wait_us < PUT_OFF_US_MAX; rounds--)
        wait_us *= 2;
    return wait_us < PUT_OFF_US_MAX ? wait_us : PUT_OFF_US_MAX;
}

static bool give_back_one(struct change *c, const struct grant_back *b,
                          const struct grant_runners *runners, int64_t refusals)
{
    struct task_result result = {
        .lease = {b->row->id, b->row->token},
        .outcome = OUTCOME_REJECTED,
        .reason = b->reason,
        .message = b->message,
        .exit_code = -1,
    };
    struct placement_demand d;

    if (placement_demand_parse(c->tx->arena, b->row->key, &d)) {
        struct grant_runners some = grant_runners_of(runners, d.type);

        result.put_off_us = put_off(refusals, grant_runners_count(&some, &d));
    }
    return !change_end_attempt(c, b->row, TASK_RELEASE, &result, STR(""));
}

int grant_give_back(struct change *c, const struct grant_back *list, size_t n, int64_t *ret_n)
{
    struct tx *tx = c->tx;
    struct grant_plan *plans = ARENA_ARRAY(tx->arena, struct grant_plan, n);
    struct str *types = ARENA_ARRAY(tx->arena, struct str, n);
    int64_t *ids = ARENA_ARRAY(tx->arena, int64_t, n);
    struct grant_runners runners = {0};
    struct sets puts = {0};
    size_t types_n = 0;
    int r;

    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct placement_demand d;

        ids[i] = list[i].row->id;
        if (placement_demand_parse(tx->arena, list[i].row->key, &d))
            types[types_n++] = d.type;
    }
    r = grant_plans(tx, ids, n, plans);
    if (!r)
        r = grant_runners_read(tx, types, types_n, NULL, 0, &runners);
    if (r)
        return fault(r);
    for (size_t i = 0; i < n; i++) {
        if (!give_back_one(c, &list[i], &runners, plans[i].refusals + 1))
            continue;
        SETS_ADD(&puts, tx->arena, INT(ids[i]), INT(plans[i].refusals + 1));
        if (ret_n)
            (*ret_n)++;
    }
    r = sets_run(&puts, tx, STMT_grant_refused, 2, NULL);
    return r ? fault(r) : 0;
}

int64_t grant_progress_by(int64_t now, int64_t progress_us)
{
    int64_t at;

    if (progress_us <= 0)
        return 0;
    if (__builtin_mul_overflow(progress_us, 2, &at) || __builtin_add_overflow(at, now, &at))
        return INT64_MAX;
    return at;
}

struct task_result grant_expiry(struct tx *tx, const struct task_row *row)
{
    struct task_result ret = {
        .lease = {row->id, row->token},
        .outcome = OUTCOME_LOST,
        .reason = TASK_REASON_LOST,
        .message = STR("the server that called its runner went silent"),
        .exit_code = -1,
    };
    struct placement_demand d;

    if (placement_demand_parse(tx->arena, row->key, &d) && d.mode == PLACEMENT_ASYNC) {
        ret.reason = TASK_REASON_NO_PROGRESS;
        ret.message = STR("its runner promised progress, and told none for twice the time");
    }
    return ret;
}
