/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend: what store.c, which keeps the rules of store.h, asks of SQLite and of Postgres.
 *
 * Private to this folder. A backend's own struct begins with `struct store`. Its functions return
 * as those of store.h do and set the sentence by store_say(); they are called only where the state
 * allows it, so they check nothing of that kind themselves.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/prng.h"
#include "store/store.h"

/*
 *   IDLE --begin--> OPEN --commit, rollback--> IDLE
 *   OPEN --a statement failed--> FAILED --undo--> OPEN     (FAILED --rollback--> IDLE)
 *   OPEN --a fault that rolled it back--> ENDED --rollback, begin--> IDLE, OPEN
 */
enum store_state { STORE_IDLE, STORE_OPEN, STORE_FAILED, STORE_ENDED };

/* What preparing a statement told about it. */
struct shape {
    size_t params;
    size_t columns;
};

struct store {
    const struct backend *backend; /* NULL: the URL was none that we know */
    struct store_options options;  /* with its defaults filled in; url is a copy */
    struct arena memory;           /* lives as long as the store */
    struct str place;              /* the store in sentences: its URL without what is secret */
    struct buf error;
    struct prng prng; /* for jitter */
    enum store_state state;
    int ended;                  /* the fault of an ENDED transaction */
    bool pooled;                /* store_pooled() */
    bool ready;                 /* connected, migrated and prepared */
    bool marked;                /* store_undo() has a point to go back to */
    bool in_doubt;              /* nobody knows what became of the newest commit */
    bool made_doubt, made_done; /* … as its faults have made it, and whether it took place */
    int version;                /* of the schema that was found */
    int64_t until;              /* monotonic: the end of the transaction's time; INT64_MAX: none */
    int64_t now;                /* the newest time that was given out */
    int64_t written;
    int64_t written_at_mark;
    struct cell *cells; /* the rows of the statement that runs, until their number is known */
    size_t cells_n;
    size_t cells_max;
    struct shape shapes[STMT_N + 1];
};

/* The migration table as it was found. */
struct schema {
    bool foreign; /* something else lives here */
    int64_t n;    /* rows; 0 also where there is no table */
    int64_t first;
    int64_t last;
};

struct backend {
    enum store_backend kind;
    size_t size; /* of its struct */
    const struct statement *statements;
    const struct migration *migrations;
    const size_t *migrations_n;

    /* Reach the store, once, before `deadline` (monotonic): -EHOSTUNREACH is tried again. */
    int (*connect)(struct store *s, int64_t deadline);
    /* Read the migration table; within a migration or without one. */
    int (*schema)(struct store *s, struct schema *ret);
    /* A transaction under the lock that lets one program migrate at a time. */
    int (*migrate_begin)(struct store *s);
    /* Run the migration's text and note it in the migration table. */
    int (*migrate_apply)(struct store *s, const struct migration *m);
    int (*migrate_commit)(struct store *s);
    void (*migrate_rollback)(struct store *s);
    /* Prepare the statements and fill in their `shapes`: all, or all but those of `need`. */
    int (*prepare)(struct store *s);
    /* Before a statement runs: prepare it where it is not yet; NULL: all are. */
    int (*need)(struct store *s, enum statement_id id);

    int (*begin)(struct store *s, int64_t *ret_now);
    int (*run)(struct store *s, enum statement_id id, const struct cell *params, size_t sets,
               struct arena *a, struct rows *ret); /* a is NULL where rows are not wanted */
    /* Run it, its answer to come with that of the next call; NULL: it is run at once. */
    int (*put)(struct store *s, enum statement_id id, const struct cell *params, size_t sets);
    /* All of them in one round trip, their rows kept by store_keep(). NULL: they are run one by
     * one. */
    int (*ask)(struct store *s, const struct store_ask *asks, size_t n, struct arena *a);
    int (*mark)(struct store *s);
    int (*undo)(struct store *s);
    int (*commit)(struct store *s);
    /* What became of a commit that returned -EHOSTUNREACH; NULL: none does. */
    int (*settle)(struct store *s);
    void (*rollback)(struct store *s);
    int (*ids)(struct store *s, size_t n, int64_t *ret_ids);
    void (*close)(struct store *s);
};

extern const struct backend sqlite_backend, postgres_backend;

/* Bring the schema forward (a writer) or check it (a reader); sets `version`. */
int migrate_forward(struct store *s);

/* Set the sentence of store_error() and return `r`. */
int store_say(struct store *s, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The transaction is gone, by this fault. Returns it. */
int store_ended(struct store *s, int r);

/* Whether the program stops, so that nothing is waited for `grace_ms` after that. */
bool store_stopped(const struct store *s, int64_t grace_ms);

/* Wait before another try, longer each time; *step_ms begins as 0. False where the deadline is
 * over, or the program stops. */
bool store_back_off(struct store *s, int64_t *step_ms, int64_t deadline);

/* The cells since the last one are the rows that a statement answered with; it wrote `changed`. */
void store_keep(struct store *s, const struct store_ask *ask, struct arena *a, int64_t changed);

/* Another cell of the statement that runs; its text is copied into the arena. */
void store_cell(struct store *s, struct arena *a, struct cell c);

#endif
