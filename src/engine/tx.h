/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tx: one transaction as the engine's functions see it.
 *
 * An engine function is a transaction script, `int task_claim(struct tx *tx, const struct
 * task_claim *req, struct task_leases *reply)`. It reads rows, asks the core, writes rows and
 * appends events; it sees no clock, thread or socket. It returns 0, ENGINE_E_REFUSED with
 * tx->problem (the request cannot be done; what it wrote is undone by the caller), or a fault,
 * which for damage that a row shows comes with tx->problem too. Replies live in tx->arena.
 *
 * Events and tallies are gathered here and written by tx_flush() before the commit, once for all
 * requests of the transaction.
 */
#ifndef ENGINE_TX_H
#define ENGINE_TX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/doc.h"
#include "base/prng.h"
#include "base/str.h"
#include "core/code.h"
#include "core/task.h"
#include "store/store.h"

enum { ENGINE_E_REFUSED = 1 };

struct tx_problem {
    enum code code;
    struct str text;           /* one sentence */
    struct doc_error *details; /* of a faulty workflow */
    size_t details_n;
};

/* A change, as it is stored and as watchers see it. */
struct event {
    int64_t seq; /* known after tx_flush() */
    int64_t at;
    int64_t run;     /* 0: of no run */
    int64_t task;    /* 0: of no task */
    struct str name; /* of the task; not stored with the event */
    struct str kind;
    struct str data; /* a JSON object */
};

struct tx_tally {
    int64_t run;
    struct str queue;
    enum task_state state;
    int64_t n;
    bool touched; /* whoever waits for the queue looks again */
};

struct tx {
    struct store *store;
    struct arena *arena;
    struct prng *prng;
    int64_t now;

    struct event *events;
    size_t events_n, events_cap, events_flushed;
    struct tx_tally *tallies;
    size_t tallies_n, tallies_cap, tallies_mark;
    bool pushed;      /* tx_push() was called; it stays so where that request is undone */
    size_t tallied_n; /* after tx_flush(): the first of `tallies` are what it wrote, one per scope
                         and state, and what was touched */
    struct tx_problem problem;
};

/* Begin on a store. What an earlier transaction of this tx left is forgotten; the arena is the
 * caller's to reset. */
int tx_begin(struct tx *tx);
/* Write what was gathered. */
int tx_flush(struct tx *tx);
/* tx_flush() and commit: 0 is durable. Events and counts stay readable until the next tx_begin().
 */
int tx_commit(struct tx *tx);
void tx_rollback(struct tx *tx);

/* Between requests of one transaction: where the next one begins, and back to there in store and
 * memory. tx_mark() without a savepoint only notes the place in memory. */
enum tx_savepoint { TX_NO_SAVEPOINT, TX_SAVEPOINT };
struct tx_place {
    size_t events_n, tallies_n;
};
int tx_mark(struct tx *tx, enum tx_savepoint how, struct tx_place *ret);
int tx_undo(struct tx *tx, const struct tx_place *place);

/* For engine functions: refuse the request. Returns ENGINE_E_REFUSED. */
int tx_refuse(struct tx *tx, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For engine functions that take requests of many callers: a refusal, tx->problem, becomes that of
 * one of them, *ret (CODE_OK: it was done), and 0 is returned; a fault stays one. */
int tx_refuse_one(struct tx *tx, int r, struct tx_problem *ret);
/* And back: refuse the request that has this problem; 0 where it has none. */
int tx_refused(struct tx *tx, const struct tx_problem *problem);

/* For engine functions: a row says what cannot be. Returns the fault -EUCLEAN; tx->problem says
 * what was found ("task 12 has the state \"REEDY\"") and what to do. */
int tx_damaged(struct tx *tx, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Append an event; data is a JSON object made with printf ("{}" where there is nothing to say). */
void tx_event(struct tx *tx, int64_t run, int64_t task, struct str name, struct str kind,
              struct str data);

/* n more (or fewer) tasks in that state. */
void tx_count(struct tx *tx, int64_t run, struct str queue, enum task_state state, int64_t n);

/* Something of the queue has changed that no count shows (its settings), and by which tasks may
 * have become claimable: whoever waits for it looks again after the commit. */
void tx_touch(struct tx *tx, struct str queue);
/* Likewise of a run, for those that take tasks of any. */
void tx_touch_run(struct tx *tx, int64_t run);

/* Dispatchers look again after the commit: a stage that runners are called for may be given out,
 * has lost its holder or is to be cancelled, or a runner takes more than before. */
void tx_push(struct tx *tx);

/* Add to counts by state, as the store has them, what this transaction has counted since. */
void tx_counted(const struct tx *tx, int64_t run, struct str queue, int64_t *counts);

#endif
