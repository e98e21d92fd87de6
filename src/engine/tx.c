/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tx.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/broken.h"
#include "base/buf.h"
#include "base/fault.h"
#include "engine/row.h"
#include "engine/sets.h"

#define PROBLEM_BYTES_MAX 2000u

int tx_begin(struct tx *tx)
{
    tx->events = NULL;
    tx->events_n = tx->events_cap = tx->events_flushed = 0;
    tx->tallies = NULL;
    tx->tallies_n = tx->tallies_cap = tx->tallies_mark = tx->tallied_n = 0;
    tx->pushed = false;
    tx->problem = (struct tx_problem){0};
    return store_begin(tx->store, &tx->now);
}

/* Events first … last - 1. */
static int flush_some(struct tx *tx, struct sets *sets, size_t first, size_t last)
{
    struct rows rows;
    int r;

    for (size_t i = first; i < last; i++) {
        const struct event *e = &tx->events[i];

        SETS_ADD(sets, tx->arena, INT(e->at), INT(e->run), INT(e->task), TEXT(e->kind),
                 TEXT(e->data));
    }
    r = sets_run(sets, tx, STMT_event_add, 5, &rows);
    if (r)
        return fault(r);
    for (size_t i = 0; i < rows.n; i++)
        tx->events[first + i].seq = row_int(&rows, i, 0);
    return 0;
}

static int flush_events(struct tx *tx)
{
    struct sets sets = {0};
    int r = 0;

    while (!r && tx->events_flushed < tx->events_n) {
        size_t first = tx->events_flushed, n = tx->events_n - first;

        tx->events_flushed += n < SETS_CHUNK ? n : SETS_CHUNK;
        r = flush_some(tx, &sets, first, tx->events_flushed);
    }
    return r ? fault(r) : 0;
}

static int by_scope(const void *a, const void *b)
{
    const struct tx_tally *x = a, *y = b;

    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    if (x->state != y->state)
        return x->state < y->state ? -1 : 1;
    return str_cmp(x->queue, y->queue);
}

/* Neighbours of one scope and state become one. Returns how many are left. */
static size_t merge_tallies(struct tx *tx)
{
    size_t n = 0;

    if (tx->tallies_n)
        qsort(tx->tallies, tx->tallies_n, sizeof(*tx->tallies), by_scope);
    for (size_t i = 0; i < tx->tallies_n; i++) {
        struct tx_tally t = tx->tallies[i];

        if (n && by_scope(&tx->tallies[n - 1], &t) == 0) {
            tx->tallies[n - 1].n += t.n;
            tx->tallies[n - 1].touched |= t.touched;
        } else {
            tx->tallies[n++] = t;
        }
    }
    return n;
}

/* One row per scope and state, whatever the requests of the transaction were. */
static int flush_tallies(struct tx *tx)
{
    struct sets sets = {0};

    tx->tallied_n = merge_tallies(tx);
    for (size_t i = 0; i < tx->tallied_n; i++) {
        const struct tx_tally *t = &tx->tallies[i];

        if (t->n)
            SETS_ADD(&sets, tx->arena, INT(t->run), TEXT(t->queue), TEXT(task_state_text(t->state)),
                     INT(t->n));
    }
    tx->tallies_n = tx->tallies_mark = 0;
    return sets_run(&sets, tx, STMT_tally_add, 4, NULL);
}

int tx_flush(struct tx *tx)
{
    int r = flush_events(tx);

    if (!r && BROKEN(COUNTS)) {
        r = store_commit(tx->store);
        r = r ? r : store_begin(tx->store, NULL);
    }
    if (!r)
        r = flush_tallies(tx);
    return r ? fault(r) : 0;
}

int tx_commit(struct tx *tx)
{
    int r = tx_flush(tx);

    if (!r)
        r = store_commit(tx->store);
    return r ? fault(r) : 0;
}

void tx_rollback(struct tx *tx)
{
    store_rollback(tx->store);
    tx->events_n = tx->events_flushed = 0;
    tx->tallies_n = tx->tallies_mark = tx->tallied_n = 0;
}

int tx_mark(struct tx *tx, enum tx_savepoint how, struct tx_place *ret)
{
    *ret = (struct tx_place){tx->events_n, tx->tallies_n};
    tx->tallies_mark = tx->tallies_n;
    tx->problem = (struct tx_problem){0};
    if (how == TX_NO_SAVEPOINT)
        return 0;
    return store_mark(tx->store);
}

int tx_undo(struct tx *tx, const struct tx_place *place)
{
    tx->events_n = place->events_n;
    tx->tallies_n = tx->tallies_mark = place->tallies_n;
    return store_undo(tx->store);
}

static void say(struct tx *tx, enum code code, struct str more, const char *format, va_list args)
{
    struct buf b;

    buf_init(&b, PROBLEM_BYTES_MAX);
    buf_vprintf(&b, format, args);
    buf_add(&b, more);
    tx->problem.code = code;
    tx->problem.text = str_copy(tx->arena, buf_str(&b));
    buf_deinit(&b);
}

int tx_refuse(struct tx *tx, enum code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(tx, code, STR(""), format, args);
    va_end(args);
    return ENGINE_E_REFUSED;
}

int tx_refuse_one(struct tx *tx, int r, struct tx_problem *ret)
{
    *ret = (struct tx_problem){0};
    if (r != ENGINE_E_REFUSED)
        return r ? fault(r) : 0;
    *ret = tx->problem;
    tx->problem = (struct tx_problem){0};
    return 0;
}

int tx_refused(struct tx *tx, const struct tx_problem *problem)
{
    if (problem->code == CODE_OK)
        return 0;
    tx->problem = *problem;
    return ENGINE_E_REFUSED;
}

int tx_damaged(struct tx *tx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(tx, CODE_STORE_CORRUPT, STR("; the store is damaged, restore it from a backup"), format,
        args);
    va_end(args);
    return fault(-EUCLEAN);
}

void tx_event(struct tx *tx, int64_t run, int64_t task, struct str name, struct str kind,
              struct str data)
{
    ARENA_ROOM(tx->arena, tx->events, tx->events_n, tx->events_cap, 64);
    tx->events[tx->events_n++] = (struct event){
        .at = tx->now,
        .run = run,
        .task = task,
        .name = name,
        .kind = kind,
        .data = data,
    };
}

/* Only the entries since the mark are added to, so that one request can be undone alone; there are
 * never many. */
static struct tx_tally *tally_of(struct tx *tx, int64_t run, struct str queue,
                                 enum task_state state)
{
    for (size_t i = tx->tallies_mark; i < tx->tallies_n; i++) {
        struct tx_tally *t = &tx->tallies[i];

        if (t->run == run && t->state == state && str_eq(t->queue, queue))
            return t;
    }
    ARENA_ROOM(tx->arena, tx->tallies, tx->tallies_n, tx->tallies_cap, 16);
    tx->tallies[tx->tallies_n] = (struct tx_tally){.run = run, .queue = queue, .state = state};
    return &tx->tallies[tx->tallies_n++];
}

void tx_count(struct tx *tx, int64_t run, struct str queue, enum task_state state, int64_t n)
{
    tally_of(tx, run, queue, state)->n += n;
}

void tx_touch(struct tx *tx, struct str queue)
{
    tally_of(tx, 0, queue, TASK_READY)->touched = true;
}

void tx_touch_run(struct tx *tx, int64_t run)
{
    tally_of(tx, run, STR(""), TASK_READY)->touched = true;
}

void tx_push(struct tx *tx)
{
    tx->pushed = true;
}

void tx_counted(const struct tx *tx, int64_t run, struct str queue, int64_t *counts)
{
    for (size_t i = 0; i < tx->tallies_n; i++) {
        const struct tx_tally *t = &tx->tallies[i];

        if (t->run == run && str_eq(t->queue, queue))
            counts[t->state] += t->n;
    }
}
