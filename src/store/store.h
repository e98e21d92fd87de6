/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: durable truth behind one interface, SQLite or Postgres.
 *
 * A `struct store` is one connection, used by one thread at a time. Everything happens in a
 * transaction: begin, run statements, commit. The statements are the files in sqlite/ and
 * postgres/, prepared when the store is opened, known by the same name and taking the same
 * parameters. Values are integers, texts and null; JSON travels as text.
 *
 * Faults that a caller at the edge tells apart (everybody else hands them up):
 *   -EAGAIN       a deadlock, a serialisation failure, a lock or a statement that took too long:
 *                 the transaction is rolled back, run it again
 *   -ECONNRESET   the connection was lost, the transaction is rolled back; store_begin() connects
 *                 again
 *   -EHOSTUNREACH no connection could be made within connect_ms
 *   -EBUSY        another program holds the store's lock for longer than lock_ms
 *   -EROFS        the store is read-only
 *   -ENOSPC       the disk or quota is full
 *   -EIO          the disk failed
 *   -ENOMEM       SQLite or the server got no memory
 *   -EMFILE       no file can be opened any more, here or on the whole machine
 *   -EUCLEAN      the store is damaged
 *   -EACCES       the store may not be opened, or the user may not do that in it
 *   -ENOENT       there is no store yet (a reader), or no such database
 *   -EPROTO       its schema is newer than this program, or has a gap
 *   -EINVAL       the URL is none that we know, or names something that is not weft's
 *   -EBADMSG      a statement, its parameters or the order of the calls is wrong (a bug)
 * store_error() then says it in a sentence.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "store/statements.h"

struct store;

/* A writer takes the store's write lock when a transaction begins; a reader sees one snapshot per
 * transaction. */
enum store_mode { STORE_READ, STORE_WRITE };

/* What is made to go wrong with a connection (the simulator): each is asked before the store does
 * it, and says 0 or the fault that it is to end with. */
struct store_faults {
    void *context;
    int (*begin)(void *context);
    int (*statement)(void *context);
    /* The fault of the commit; -EHOSTUNREACH: nobody knows whether it took place, which *ret_done
     * says, and store_settle() asks. Any other: it did not. */
    int (*commit)(void *context, bool *ret_done);
    /* 0: by now it can be known. */
    int (*settle)(void *context);
};

/* What another thread sees of a store, and tells it, while a call of it is under way. */
struct store_watch {
    _Atomic int64_t alive_us; /* monotonic: when the newest question to the store began */
    /* Monotonic: from then on no connection is waited for, and an answer of a server no longer than
     * STORE_STOP_MS more; 0: it goes on. */
    _Atomic int64_t stop_us;
};

struct store_options {
    /* "sqlite:PATH", "sqlite::memory:", "sqlite::memory:NAME" (a store that the connections of this
     * process share while there are any) or "postgres://…" (libpq's URI); there with the parameter
     * pooler=transaction where a pooler gives each transaction another connection (store_pooled).
     */
    struct str url;
    enum store_mode mode;
    int64_t connect_ms; /* keep trying to connect for so long, with backoff; 0: STORE_CONNECT_MS */
    int64_t lock_ms;    /* wait for a lock for so long; 0: STORE_LOCK_MS */
    int64_t statement_ms; /* one statement may take so long (Postgres); 0: STORE_STATEMENT_MS */
    /* A transaction that is older begins no statement any more: it is rolled back, with -EAGAIN. 0:
     * there is no such limit. */
    int64_t transaction_ms;
    const struct store_faults *faults; /* NULL: nothing is made to go wrong */
    struct store_watch *watch;         /* outlives the store; NULL: nobody watches */
};

#define STORE_CONNECT_MS   10000
#define STORE_LOCK_MS      5000
#define STORE_STATEMENT_MS 30000
#define STORE_STOP_MS      3000
/* What a server gives its transactions. */
#define STORE_TRANSACTION_MS 30000

/* Whether the URL says that it leads to a pooler of transactions. Then nothing is kept in a
 * session: no prepared statements, which costs the server a parse of each, and no settings. */
bool store_pooled(struct str url);

/* Open and prepare. A writer migrates the schema forward first, under a lock, so that programs that
 * start together do not race; a reader finds it migrated. On a fault *ret_store may still be set,
 * for store_error(); store_free() it. */
int store_open(const struct store_options *options, struct store **ret_store);
struct store *store_free(struct store *s);

/* The newest failure as a sentence for a person, with the path or server in it; never a password.
 * Borrowed until the next call. */
struct str store_error(const struct store *s);

enum store_backend { STORE_SQLITE, STORE_POSTGRES };
enum store_backend store_backend(const struct store *s);

/* The schema's version, and the one that this program brings. */
int store_schema_version(const struct store *s);
int store_schema_newest(enum store_backend b);

/*
 * Begin; a lost connection is made again first, with backoff. *ret_now (NULL allowed) is the
 * transaction's time: on Postgres the server's clock, read once; on SQLite a clock that never runs
 * backwards, over restarts and programs.
 */
int store_begin(struct store *s, int64_t *ret_now);

/* Commit; 0 means durable. Where the connection is lost on the way, the store asks after
 * reconnecting whether the commit took place: 0 if so, -ECONNRESET if it did not, -EHOSTUNREACH
 * where it could not find out within connect_ms, so that nobody knows. */
int store_commit(struct store *s);
/* Whether the newest commit is one of which nobody knows, until the next store_begin(); and look
 * again what became of it, with the outcomes of store_commit(). */
bool store_in_doubt(const struct store *s);
int store_settle(struct store *s);
void store_rollback(struct store *s);

/* A point within the transaction that store_undo() goes back to, until the next mark; they do not
 * nest. */
int store_mark(struct store *s);
int store_undo(struct store *s);

/* How many rows this transaction has written so far, without those undone. */
int64_t store_written(const struct store *s);

/* Draw `n` numbers, growing, that no committed transaction of this store has drawn; for ids and
 * tokens. The first 128 of them have no gaps, nor has each 128 after those. */
int store_ids(struct store *s, size_t n, int64_t *ret_ids);

enum cell_kind { CELL_NULL, CELL_INT, CELL_TEXT };

struct cell {
    enum cell_kind kind;
    int64_t i;
    struct str s;
};

#define NIL     ((struct cell){.kind = CELL_NULL})
#define INT(v)  ((struct cell){.kind = CELL_INT, .i = (int64_t)(v)})
#define TEXT(v) ((struct cell){.kind = CELL_TEXT, .s = (v)})

/* Rows, row by row; they and their texts live in the arena. */
struct rows {
    struct cell *cells;
    size_t n;
    size_t columns;
    int64_t changed; /* rows written by the statement */
};

static inline int64_t row_int(const struct rows *r, size_t row, size_t column)
{
    return r->cells[row * r->columns + column].i;
}

static inline struct str row_text(const struct rows *r, size_t row, size_t column)
{
    return r->cells[row * r->columns + column].s;
}

static inline bool row_null(const struct rows *r, size_t row, size_t column)
{
    return r->cells[row * r->columns + column].kind == CELL_NULL;
}

enum { STORE_E_DUPLICATE = 1 };

/*
 * Run a statement over `sets` sets of parameters, `params` holding one set after the other. A
 * statement whose file begins with `-- many` takes any number of sets: SQLite runs it once per set,
 * Postgres once in all with an array per parameter ($1::bigint[] …, unnest), and the rows of all
 * sets come together. Other statements take one set. Texts are UTF-8 without NUL.
 *
 * Returns 0, STORE_E_DUPLICATE (a unique key exists already) or a fault. After anything but 0 the
 * transaction can only be undone or rolled back. `ret` may be NULL, then `a` may be too.
 */
int store_run(struct store *s, enum statement_id id, struct arena *a, const struct cell *params,
              size_t sets, struct rows *ret);

/*
 * Write without waiting for the answer: as store_run() of a statement that answers with no rows.
 * Postgres sends it together with the next call, which returns what is wrong with it; only a
 * store_mark() costs a round trip then. A duplicate is -EBADMSG. Each set counts as one row in
 * store_written().
 */
int store_put(struct store *s, enum statement_id id, const struct cell *params, size_t sets);

/* One of several questions that are asked together. */
struct store_ask {
    enum statement_id id;
    const struct cell *params;
    size_t sets;      /* 0: nothing is run, and there are no rows */
    struct rows *ret; /* may be NULL */
    int64_t *ret_ids; /* not NULL: no statement, but `sets` numbers as of store_ids() */
};

/*
 * As store_run() and store_ids() of each, one after the other; Postgres answers all of them in one
 * round trip. Up to STORE_ASK_MAX. A duplicate is -EBADMSG.
 */
#define STORE_ASK_MAX 8
int store_ask(struct store *s, struct arena *a, const struct store_ask *asks, size_t n);

/* One set, written in place: STORE_DO(s, STMT_run_get, arena, &rows, INT(id)). */
#define STORE_PUT(s, id, ...) store_put((s), (id), (struct cell[]){__VA_ARGS__}, 1)
#define STORE_DO(s, id, arena, ret, ...)                                                           \
    store_run((s), (id), (arena), (struct cell[]){__VA_ARGS__}, 1, (ret))

#endif
