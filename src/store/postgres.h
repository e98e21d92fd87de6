/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres: what the files of this backend share. postgres_open.c connects, migrates and prepares,
 * postgres.c has the transactions and their statements, postgres_receipt.c finds out what became
 * of a commit whose answer was lost.
 *
 * Private to these files.
 */
#ifndef STORE_POSTGRES_H
#define STORE_POSTGRES_H

#include "store/backend.h"
#include "store/wire.h"

/* The types that statements may use, by their fixed numbers in pg_type. */
enum {
    TYPE_BOOL = 16,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_TEXTS = 1009,
    TYPE_INT8S = 1016,
    TYPE_VARCHAR = 1043,
    TYPE_VOID = 2278,
};

#define PARAMS_MAX 64

#define MICROSECONDS "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
/* A transaction without a number has written nothing. The server says so best: a statement that
 * only reads by its name may call what writes, and one that writes may find nothing to write. */
#define WROTE "pg_current_xact_id_if_assigned() IS NOT NULL"

#define OWN_STATEMENTS(X)                                                                          \
    X(BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED")                                               \
    X(BEGIN_READ, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")                               \
    X(NOW, "SELECT " MICROSECONDS)                                                                 \
    X(HOLD, "SELECT " MICROSECONDS ", pg_advisory_xact_lock($1),"                                  \
            " EXISTS (SELECT FROM weft.receipt WHERE ctid = $3 AND holder = $2"                    \
            " AND at > " MICROSECONDS " - 43200000000)")                                           \
    X(RECEIPT, "UPDATE weft.receipt SET n = $2, at = " MICROSECONDS                                \
               " WHERE ctid = $3 AND holder = $1 AND " WROTE " RETURNING ctid::text")              \
    X(RECEIPT_NEW, "WITH old AS (DELETE FROM weft.receipt WHERE ctid = ANY (ARRAY("                \
                   "SELECT ctid FROM weft.receipt WHERE at < " MICROSECONDS                        \
                   " - 86400000000 AND " WROTE " FOR UPDATE SKIP LOCKED)))"                        \
                   " INSERT INTO weft.receipt SELECT $1, $2, " MICROSECONDS " WHERE " WROTE        \
                   " RETURNING ctid::text")                                                        \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(MARK, "SAVEPOINT mark")                                                                      \
    X(RELEASE, "RELEASE SAVEPOINT mark")                                                           \
    X(UNDO, "ROLLBACK TO SAVEPOINT mark")                                                          \
    X(IDS, "SELECT nextval('ids') FROM generate_series(1, $1::bigint)")
#define OWN_ENUM(name, text) OWN_##name,
enum own { OWN_STATEMENTS(OWN_ENUM) OWN_N };
extern const struct postgres_own {
    const char *name;
    const char *text;
} postgres_owns[OWN_N];

/* What is asked for after a lost commit. The number of the server's transaction would not do: one
 * that crashed gives numbers out again whose log had not reached the disk. */
struct postgres_receipt {
    int64_t holder, n;
    char at[24]; /* the place of the row as it was last committed */
    bool there;  /* it is still there, and will be until the transaction ends */
};

struct postgres {
    struct store store;
    struct wire wire;
    /* Where a pooler stands between: what a session would be told once, in each transaction. */
    char begin_text[1024];
    struct postgres_receipt receipt;
    bool mark_wanted; /* the savepoint is set together with the next statement */
    bool mark_set;    /* the server has one */
    char *scratch;    /* parameters in binary */
    size_t scratch_max;
    Oid types[STMT_N + 1][PARAMS_MAX];
};

static inline struct postgres *postgres_of(struct store *s)
{
    return (struct postgres *)s;
}

/* postgres_open.c: opening, as struct backend has it. */
int postgres_connect(struct store *s, int64_t deadline);
int postgres_schema(struct store *s, struct schema *ret);
int postgres_migrate_begin(struct store *s);
int postgres_migrate_apply(struct store *s, const struct migration *m);
int postgres_migrate_commit(struct store *s);
void postgres_migrate_rollback(struct store *s);
int postgres_prepare(struct store *s);

/* postgres.c: a number of a result, 0 where it is none; and one of our own statements, sent. */
int64_t postgres_int(const PGresult *result, int row, int column);
int postgres_own_send(struct postgres *p, enum own own);

/* postgres_receipt.c: with BEGIN, take the lock by which it is seen that the transaction goes on,
 * and ask for the time and for our row; before COMMIT, in the same round trip, put the
 * transaction's number into that row, or into a new one, if it has written; and keep the row's
 * place once it is committed. */
int postgres_receipt_hold(struct postgres *p);
void postgres_receipt_held(struct postgres *p, const PGresult *result);
int postgres_receipt_send(struct postgres *p);
void postgres_receipt_keep(struct postgres *p, const PGresult *result);
/* As struct backend's settle. */
int postgres_settle(struct store *s);

#endif
